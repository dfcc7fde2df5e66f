"""On a real GPU: what the CPU computes, in its precision."""

from __future__ import annotations

import copy

import pytest
import torch
from mmengine.optim import OptimWrapper

from gaia_ssl.engine import AutocastOptimWrapper
from gaia_ssl.evaluation.subnet_judge import judge_subnet
from gaia_ssl.models.algorithms import Supernet
from gaia_ssl.precision import full_float32
from tests import tiny
from tests.gpu.test_fake_cuda import OPERATORS, float16, supernet
from tests.models.algorithms.helpers import batch

pytestmark = pytest.mark.gpu


def losses(model: Supernet, wrapper: type[OptimWrapper]) -> torch.Tensor:
    optim_wrapper = wrapper(torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.01))
    return torch.stack([torch.stack([*model.train_step(batch(8, seed=step), optim_wrapper).values()]) for step in range(3)])


@full_float32()
@pytest.mark.parametrize('wrapper, tolerance', [(OptimWrapper, 1e-2), (AutocastOptimWrapper, 0.1), (float16, 0.1)])
@pytest.mark.parametrize('method', OPERATORS)
def test_steps(method, wrapper, tolerance):
    model = supernet(method)
    expected = losses(copy.deepcopy(model), OptimWrapper)
    found = losses(supernet(method).cuda(), wrapper)
    torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance)


def test_a_judge():
    model, batches = tiny.supernet(), [tiny.images(4, seed=seed) for seed in range(2)]
    settings = dict(labels=[0, 1] * 4, val_labels=[0, 1] * 4, k=2)
    expected = judge_subnet(model, tiny.SPACE[3], batches, val_batches=batches, **settings)
    batches = [images.cuda() for images in batches]
    found = judge_subnet(model.cuda(), tiny.SPACE[3], batches, val_batches=batches, **settings)
    assert found == pytest.approx(expected, rel=1e-2)
