"""What runs on a GPU, on fake CUDA tensors: no device is mixed with another, and the host seldom waits."""

from __future__ import annotations

from types import SimpleNamespace
from unittest import mock

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.optim import AmpOptimWrapper, OptimWrapper

from gaia_ssl import ArchSpace
from gaia_ssl.engine import AutocastOptimWrapper
from gaia_ssl.engine.device_views import make_views_on_device
from gaia_ssl.evaluation.latency import _Bench
from gaia_ssl.evaluation.subnet_judge import judge_subnet
from gaia_ssl.models import SubnetResNet
from gaia_ssl.models.algorithms import Supernet
from gaia_ssl.models.views import ChangedViews
from gaia_ssl.search import PrefixEvaluator
from gaia_ssl.search.task import quantities_of
from gaia_ssl.space import ArchTree
from tests import tiny
from tests.gpu.fake import Operators, fake_cuda, to_fake
from tests.models.algorithms.helpers import batch, build_supernet

SPACE = ArchSpace(stem=(4, 8), widths=((4, 8), (4, 8), (4, 8), (4, 8)), depths=((1, ), (1, ), (1, ), (1, 2)))
"""Of every kind of layer, one or two."""
OPERATORS = dict(SupernetMoCo=980, SupernetBYOL=1850, SupernetReSSL=960, SupernetDenseCL=1260, SupernetDistill=1170)
"""The most that a step may launch: a tenth above what it was when this was written."""


def float16(optimizer: torch.optim.Optimizer) -> AmpOptimWrapper:
    return AmpOptimWrapper(optimizer=optimizer, loss_scale='dynamic', dtype='float16')


def supernet(method: str) -> Supernet:
    model = build_supernet(method, SPACE, **(dict(soft_targets=0.5) if method == 'SupernetDenseCL' else {}))
    model.prepare_training(lambda: batch(1))
    model.set_sandwich(0, dict(min=SPACE.min, max=SPACE.max), weights=dict(max=2.5))
    return model


@pytest.mark.parametrize('method, wrapper, waits', [
    *((method, OptimWrapper, {'_to_copy': 1}) for method in OPERATORS),
    ('SupernetMoCo', float16, {'_to_copy': 1, '_local_scalar_dense': 1})])
def test_a_step(method, wrapper, waits):
    """The host waits for the losses, and with loss scaling to hear whether anything overflowed."""
    model = supernet(method)
    with fake_cuda(backward=True):
        to_fake(model)
        optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1, momentum=0.9, foreach=True)
        optim_wrapper = wrapper(optimizer)
        with Operators() as operators:
            log = model.train_step(batch(8), optim_wrapper)
    assert {value.device.type for value in log.values()} == {'cpu'}
    print(method, operators.total)
    assert +operators.waits == waits and operators.uploads == 0
    assert operators.total <= OPERATORS[method]


def test_views_made_on_the_device():
    """One copy tells the device all that was drawn, and nobody waits for it."""
    config = Config.fromfile(tiny.ROOT / 'configs' / 'data' / 'byol_r_supernet.py')
    assert make_views_on_device(config)
    with fake_cuda():
        for transforms in config.model.data_preprocessor.views:
            crops = torch.empty(8, 3, 32, 32, device='cuda', dtype=torch.uint8)
            with Operators() as operators:
                views = ChangedViews(transforms)(crops, np.random.default_rng(0))
            assert views.shape == crops.shape and views.device.type == 'cuda' and views.dtype == torch.float32
            assert not +operators.waits and operators.uploads == 0 and operators.total < 300


@pytest.mark.parametrize('method, wrapper, dtype', [
    *((method, AutocastOptimWrapper, torch.bfloat16) for method in OPERATORS), ('SupernetMoCo', float16, torch.float16)])
def test_the_losses_under_autocast(method, wrapper, dtype):
    """Of the forward passes: convolutions in 16 bits, losses in float32."""
    model = supernet(method)
    with fake_cuda():
        to_fake(model)
        optim_wrapper = wrapper(torch.optim.SGD(model.backbone.parameters(), lr=0.1))
        with Operators() as operators, optim_wrapper.optim_context(model):
            views = model._views(batch(8))
            targets = model.teach(views)
            losses = []
            for arch in model.sandwich.values():
                model.backbone.set_arch(arch)
                losses.append(model.loss(views, targets))
            model.finish_step(targets)
        assert operators.dtypes['convolution'] == dtype
        assert {(loss.dtype, loss.device.type) for loss in losses} == {(torch.float32, 'cuda')}
    assert not +operators.waits and not operators.uploads


@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16])
def test_a_search(dtype):
    """The host waits once a unit, for its scores."""
    model, archs = tiny.supernet(), list(tiny.SPACE)[:6]
    with fake_cuda():
        evaluator = PrefixEvaluator(to_fake(model), quantities_of(['z', 'c2-c5']), dtype=dtype)
        images = evaluator.prepare(torch.empty(16, 3, 32, 32, device='cuda'))
        tree, found = ArchTree(archs), []
        targets = evaluator.teach(images)
        with Operators() as operators:
            evaluator.walk(images, targets, tree, range(tree.num_units), lambda unit, scores: found.append(scores))
    assert len(found) == tree.num_units and operators.dtypes['convolution'] == dtype
    assert +operators.waits == {'_to_copy': tree.num_units} and not operators.uploads


def test_a_judge():
    """The subnet is made of copies on the host; then the host waits for the two features of each batch alone."""
    model = tiny.supernet()
    with fake_cuda():
        to_fake(model)
        batches = [torch.empty(4, 3, 32, 32, device='cuda')] * 2
        with Operators() as operators:
            measures = judge_subnet(model, tiny.SPACE[3], batches, [0, 1] * 4, batches, [0, 1] * 4, k=2)
    assert set(measures) == {'knn', 'rankme', 'std'}
    weights = len(SubnetResNet(tiny.SPACE[3], stem_kernel=3).state_dict())
    assert +operators.waits == {'copy_': weights, '_to_copy': 2 * len(batches) * 2} and operators.uploads == weights


@pytest.mark.parametrize('dtype', ['float32', 'bfloat16', 'float16'])
def test_latency(dtype):
    """A pass records events and waits for nothing; only then are they read."""
    network = SubnetResNet(tiny.SPACE[5], stem_kernel=3).eval()
    event = SimpleNamespace(record=lambda: None, elapsed_time=lambda other: 1.0)
    with fake_cuda(), mock.patch('torch.cuda.is_available', lambda: True), mock.patch('torch.cuda.synchronize'), \
            mock.patch('torch.cuda.Event', lambda **_: event):
        bench = _Bench(3, 'cuda', 2, 32, dtype, 1)
        to_fake(network, getattr(torch, dtype))
        with bench.ready(), Operators() as operators:
            times = bench.time([network.stem, *(block for layer in network.layers for block in layer)])
    assert np.array_equal(times, np.ones((3, 1 + sum(tiny.SPACE[5].depths))))
    assert operators.dtypes['convolution'] == getattr(torch, dtype) and not +operators.waits
