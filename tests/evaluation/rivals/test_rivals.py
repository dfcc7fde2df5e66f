"""Each rival against its published formula, on networks small enough for a few independent lines."""

import copy
import math

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from gaia_ssl.errors import UserError
from gaia_ssl.evaluation.rivals import RIVALS, score_rivals
from gaia_ssl.evaluation.rivals.az_nas import az_nas, az_nas_proxies
from gaia_ssl.evaluation.rivals.naswot import naswot
from gaia_ssl.evaluation.rivals.synflow import synflow
from gaia_ssl.evaluation.rivals.untrained import untrained
from gaia_ssl.evaluation.rivals.zico import zico
from gaia_ssl.space import Arch
from tests import tiny

ARCHS = [tiny.SPACE[index] for index in (0, 9, 31)]


class Maps(nn.Sequential):
    """Puts out its result as the only feature map."""

    def forward(self, x):
        return (super().forward(x), )


def test_synflow_of_a_chain_is_its_depth_times_its_flow():
    """Tanaka et al., Theorem 1: each layer's sum of theta * dR/dtheta is R, which is a product of matrices."""
    torch.manual_seed(0)
    net = Maps(nn.Conv2d(3, 5, 1, bias=False), nn.BatchNorm2d(5), nn.ReLU(), nn.Conv2d(5, 4, 1, bias=False), nn.ReLU(),
               nn.Conv2d(4, 2, 1, bias=False))
    flow = np.ones((1, 2))
    for index in (5, 3, 0):
        flow = flow @ np.abs(net[index].weight[:, :, 0, 0].detach().numpy().astype(np.float64))
    before = [value.clone() for value in net.state_dict().values()]
    assert synflow(net, (3, 4, 4)) == pytest.approx(math.log(3 * 16 * flow.sum()), rel=1e-9)
    assert all(map(torch.equal, before, net.state_dict().values()))


def test_naswot_counts_agreeing_relus():
    torch.manual_seed(0)
    net = Maps(nn.Conv2d(3, 6, 3), nn.ReLU(), nn.Conv2d(6, 2, 3), nn.ReLU())
    images = torch.randn(5, 3, 8, 8)
    first = net[0](images)
    codes = np.concatenate([(each > 0).flatten(1).numpy() for each in (first, net[2](first.relu()))], axis=1)
    kernel = np.array([[(a == b).sum() for b in codes] for a in codes], dtype=float)
    assert naswot(net, images) == pytest.approx(np.linalg.slogdet(kernel)[1], rel=1e-6)
    assert not net[1]._forward_hooks


def test_zico_is_the_log_of_steady_gradients():
    """The gradients of a softmax regression written out; the convolution has weights whose gradient never changes, 0."""
    torch.manual_seed(0)
    net = Maps(nn.Conv2d(3, 4, 1, bias=False))
    with torch.no_grad():
        net[0].weight[:, 2] = 1
    batches = [(torch.randn(6, 3, 2, 2), torch.arange(6) % 3) for _ in range(2)]
    for images, _ in batches:
        images[:, 2] = 0
    head = (torch.randn(3, 4, generator=torch.Generator().manual_seed(7)) / 2).double().numpy()
    weight = net[0].weight[:, :, 0, 0].detach().double().numpy()
    gradients = []
    for images, labels in batches:
        pooled = images.double().mean(dim=(2, 3)).numpy()
        hidden = pooled @ weight.T
        shares = np.exp(hidden @ head.T)
        error = (shares / shares.sum(axis=1, keepdims=True) - np.eye(3)[labels]) / 6
        gradients.append(((error @ head).T @ pooled, error.T @ hidden))
    expected = 0.0
    for pair in zip(*gradients, strict=True):
        size = np.abs(pair)
        mean, std = size.mean(axis=0), size.std(axis=0)
        expected += np.log((mean[std > 0] / std[std > 0]).sum())
    assert zico(net, batches, 3, seed=7) == pytest.approx(expected, rel=1e-4)


def without_statistics(block):
    """A copy that normalises by the batch alone."""
    block = copy.deepcopy(block)
    for module in block.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.track_running_stats, module.running_mean, module.running_var = False, None, None
    return block


def test_az_nas_proxies_of_a_network():
    """Entropies by NumPy's SVD; the largest singular value of a block's Jacobian by the vector that torch.func gives."""
    arch = Arch.parse('4-4x1-4x2-4x1-8x1')
    net = untrained(arch, 7, seed=0)
    found = az_nas_proxies(net, (3, 40, 40), seed=3)  # 10, 10, 5, 3, 2: odd sides under a stride
    generator = torch.Generator().manual_seed(3)
    x = net.stem(torch.randn(64, 3, 40, 40, generator=generator)).detach()
    entropies, trainability = [], []

    def entropy(maps):
        rows = maps.movedim(1, 3).reshape(-1, maps.shape[1]).double().numpy()
        variances = np.linalg.svd(rows - rows.mean(axis=0), compute_uv=False)**2
        shares = variances / variances.sum()
        return -(shares * np.log(np.where(shares > 0, shares, 1))).sum()

    entropies.append(entropy(x))
    for block in (block for layer in net.layers for block in layer):
        out, pull = torch.func.vjp(without_statistics(block), x)
        out = out.detach()
        signs = torch.randint(0, 2, out.shape, generator=generator).float() * 2 - 1
        back = pull(signs)[0].detach().numpy()
        rows, side = out.movedim(1, 3).flatten(0, 2).shape[0], out.shape[-1]
        stride = -(-back.shape[-1] // side)
        folded = np.zeros((rows, back.shape[1], stride, stride))
        for row in range(rows):
            image, y, x_ = np.unravel_index(row, (len(out), side, side))
            patch = back[image, :, y * stride:(y + 1) * stride, x_ * stride:(x_ + 1) * stride]
            folded[row, :, :patch.shape[1], :patch.shape[2]] = patch
        jacobian = folded.reshape(rows, -1).T @ signs.movedim(1, 3).reshape(rows, -1).numpy() / rows
        largest = np.linalg.svd(jacobian, compute_uv=False)[0]
        trainability.append(2 - largest - 1 / largest)
        x = out
        entropies.append(entropy(x))
    assert found['expressivity'] == pytest.approx(sum(entropies), rel=1e-4)
    assert found['progressivity'] == pytest.approx(min(np.diff(entropies)), rel=1e-3, abs=1e-4)
    assert found['trainability'] == pytest.approx(np.mean(trainability), rel=1e-3)


def test_az_nas_adds_the_logs_of_ranks():
    proxies = pd.DataFrame(dict(a=[0.1, 0.3, 0.2], b=[5, 7, 9]))
    assert az_nas(proxies) == pytest.approx(np.log([1 / 3 * 1 / 3, 3 / 3 * 2 / 3, 2 / 3 * 3 / 3]))


def test_a_stopped_scoring_goes_on(tmp_path, monkeypatch):
    """Twice half of the archs is all of them at once; latency alone is measured anew."""
    images = torch.randn(8, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    rivals = [name for name in RIVALS if name != 'rankme']

    def scores(archs, folder):
        return score_rivals(rivals, archs, 7, images, torch.arange(8) % 2, tmp_path / folder, {}, report=lambda line: None)

    (tmp_path / 'halves').mkdir()
    (tmp_path / 'whole').mkdir()
    scores(ARCHS[:2], 'halves')
    lost = 'gaia_ssl.evaluation.rivals.score.untrained'
    monkeypatch.setattr(lost, lambda arch, *args: untrained(arch, *args) if arch == ARCHS[2] else pytest.fail('scored again'))
    halves = scores(ARCHS, 'halves')
    monkeypatch.undo()
    whole = scores(ARCHS, 'whole')
    assert list(whole) == ['arch', *rivals] and (whole['latency'] > 0).all()
    pd.testing.assert_frame_equal(halves.drop(columns='latency'), whole.drop(columns='latency'))
    with pytest.raises(UserError, match='seed was 0, now 1'):
        score_rivals(['zico'], ARCHS, 7, images, torch.arange(8) % 2, tmp_path / 'whole', {}, seed=1)


def test_a_score_that_is_not_finite_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr('gaia_ssl.evaluation.rivals.score.synflow', lambda net, shape: math.inf)
    with pytest.raises(UserError, match=f'synflow of {ARCHS[0]} is inf; leave that rival out of --rivals'):
        score_rivals(['synflow'], ARCHS, 7, torch.randn(4, 3, 32, 32), torch.arange(4) % 2, tmp_path, {})


def test_images_of_other_channels(tmp_path):
    images, labels = torch.randn(4, 5, 32, 32), torch.arange(4) % 2
    table = score_rivals(['synflow', 'naswot', 'zico', 'az-nas'], ARCHS[:2], 7, images, labels, tmp_path, {})
    assert table.drop(columns='arch').nunique().min() == 2
    with pytest.raises(UserError, match='networks for three channels'):
        score_rivals(['latency'], ARCHS[:2], 7, images, labels, tmp_path, {})
