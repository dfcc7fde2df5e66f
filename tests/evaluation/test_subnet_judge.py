import copy
import math
import random

import numpy as np
import pytest
import torch
from scipy.linalg import svdvals
from scipy.stats import entropy
from sklearn.neighbors import KNeighborsClassifier
from torch import nn
from torch.nn import functional as F

from gaia_ssl import Arch
from gaia_ssl.errors import UserError
from gaia_ssl.evaluation.subnet_judge import find_collapse, judge_subnet
from gaia_ssl.models.algorithms import SupernetMoCo
from gaia_ssl.registry import MODELS
from tests import tiny
from tests.distributed import run_distributed

MLP = dict(type='mmpretrain.NonLinearNeck', hid_channels=16, out_channels=8, norm_cfg=dict(type='BN1d'))
SYNC_MLP = dict(MLP, norm_cfg=dict(type='gaia_ssl.DynamicSyncBatchNorm'))
OFF_GRID = Arch.parse('5-6x2-7x1-9x1-13x1')


def supernet(neck: dict = tiny.NECK, norm: str = 'BN') -> SupernetMoCo:
    """One as amid a training: its statistics mean nothing, an arch is set, and there are gradients."""
    torch.manual_seed(0)
    model = MODELS.build(dict(
        type='gaia_ssl.SupernetMoCo', queue_len=20, feat_dim=8, neck=neck, head=tiny.HEAD, data_preprocessor=tiny.PREPROCESSOR,
        backbone=dict(type='gaia_ssl.DynamicResNet', stem_kernel=3, space=tiny.SPACE, norm_cfg=dict(type=norm)))).train()
    with torch.no_grad():
        for module in model.modules():
            if getattr(module, 'running_mean', None) is not None:
                nn.init.uniform_(module.weight, 0.5, 1.5)
                module.running_mean.uniform_(3, 9)
                module.running_var.uniform_(3, 9)
    model.backbone.set_arch(tiny.SPACE[11])
    model.embed_student(tiny.images(4)).sum().backward()
    return model


def labelled(count: int, seed: int) -> tuple[torch.Tensor, np.ndarray]:
    """Images of two classes: the brighter, the darker."""
    images = tiny.images(count, seed)
    return images, np.where(images.mean(dim=(1, 2, 3)) > images.mean(), 'bright', 'dark')


@pytest.mark.parametrize('arch', [tiny.SPACE.min, tiny.SPACE.max, OFF_GRID], ids=str)
@pytest.mark.parametrize('neck', [tiny.NECK, MLP, SYNC_MLP], ids=['plain', 'BN', 'SyncBN'])
def test_measures_are_those_of_the_supernet_in_training_mode(neck, arch):
    """Of one batch the pooled statistics are the batch's own, by which a supernet in training mode normalises."""
    model = supernet(neck)
    images, labels = labelled(24, 1)
    val, val_labels = images[4:20], np.random.default_rng(0).permutation(labels[4:20])  # some of them wrong
    measures = judge_subnet(model, arch, [images], labels, [val[:9], val[9:]], val_labels, k=3)

    twin = copy.deepcopy(model)
    twin.backbone.set_arch(arch)
    with torch.no_grad():
        embeddings, c5 = twin.embed_student(images), twin.backbone(images)[0]
    directions = F.normalize(embeddings)
    assert measures['std'] == pytest.approx(directions.std(dim=0, correction=0).mean().item() * 8 ** 0.5, rel=1e-3)
    assert measures['rankme'] == pytest.approx(np.exp(entropy(svdvals(embeddings.numpy()))), rel=1e-3)
    neighbours = KNeighborsClassifier(3, metric='cosine', weights=lambda distance: np.exp(-distance / 0.07))
    pooled = c5.mean(dim=(2, 3)).numpy()
    assert measures['knn'] == neighbours.fit(pooled, labels).score(pooled[4:20], val_labels)
    assert 0.2 < measures['knn'] < 1
    assert find_collapse(measures) is None


@pytest.mark.parametrize('neck', [tiny.NECK, MLP, SYNC_MLP], ids=['plain', 'BN', 'SyncBN'])
def test_the_statistics_of_training_leave_no_trace(neck):
    model, batches = supernet(neck), [tiny.images(7, 1), tiny.images(4, 2)]
    expected = judge_subnet(model, tiny.SPACE.min, batches)
    assert set(expected) == {'rankme', 'std'}  # there are no labels
    for name, buffer in model.named_buffers():
        if 'running' in name:
            buffer.fill_(5)
    assert judge_subnet(model, tiny.SPACE.min, batches) == expected
    assert judge_subnet(model, tiny.SPACE.max, batches) != expected


@pytest.mark.parametrize('neck', [MLP, SYNC_MLP], ids=['BN', 'SyncBN'])
def test_the_model_and_the_random_generators_stay_as_they_are(neck):
    model = supernet(neck, norm='SyncBN')
    model.backbone.layer2.eval()  # modes may differ inside
    images, labels = labelled(24, 1)

    def snapshot():
        return dict(
            state=[(name, value.clone()) for name, value in model.state_dict().items()],
            gradients=[value.grad.clone() for value in model.parameters() if value.grad is not None],
            requires=[value.requires_grad for value in model.parameters()],
            modes=[module.training for module in model.modules()],
            classes=[str(type(module)) for module in model.modules()],
            active=[module.active_channels for module in model.modules() if hasattr(module, 'active_channels')],
            arch=str(model.backbone.arch), grad=torch.is_grad_enabled(),
            numpy=np.random.get_state()[1].tolist(), python=list(random.getstate()[1]), torch=torch.get_rng_state())

    before = snapshot()
    assert before['gradients'] and before['arch'] == str(tiny.SPACE[11])
    judge_subnet(model, tiny.SPACE.min, [images], labels, [images], labels, k=3)
    assert tiny.equal(snapshot(), before)


def test_the_result_does_not_depend_on_the_random_state():
    model, images = supernet(), tiny.images(8)
    first = judge_subnet(model, tiny.SPACE.max, [images])
    torch.manual_seed(99)
    assert judge_subnet(model, tiny.SPACE.max, [images]) == first


def test_a_neck_that_says_the_same_of_every_image_has_collapsed():
    model = supernet()
    last = model.neck.mlp[-1]
    last.weight.data.mul_(1e-6)
    last.bias.data.fill_(1)
    measures = judge_subnet(model, tiny.SPACE.max, [tiny.images(16)])
    assert measures['rankme'] == pytest.approx(1, abs=0.01) and measures['std'] < 1e-3
    assert find_collapse(measures).startswith('has collapsed: rankme 1 is below 2, std ')
    assert find_collapse(measures, min_rankme=0, min_std=0) is None


def test_weights_that_are_not_finite():
    model = supernet()
    model.backbone.layer4[0].conv1.weight.data[0, 0] = float('nan')
    images, labels = labelled(8, 1)
    measures = judge_subnet(model, tiny.SPACE.min, [images], labels, [images], labels, k=3)
    assert all(map(math.isnan, measures.values()))
    assert find_collapse(measures) == 'is broken: knn, rankme, std not finite'


def test_an_arch_larger_than_the_supernet():
    with pytest.raises(UserError, match='larger than the supernet'):
        judge_subnet(supernet(), Arch.parse('8-8x2-8x2-16x2-16x1'), [tiny.images(4)])


def judge_on_the_first(rank: int) -> dict:
    model = supernet(SYNC_MLP, norm='BN')
    return judge_subnet(model, tiny.SPACE.min, [tiny.images(8)]) if rank == 0 else {}


def test_one_process_of_two_judges_a_synchronised_neck_alone():
    alone, nothing = run_distributed(judge_on_the_first, 2)
    assert nothing == {} and alone == judge_subnet(supernet(SYNC_MLP), tiny.SPACE.min, [tiny.images(8)])
