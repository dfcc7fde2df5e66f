import mmcv.ops
import numpy as np
import pytest
import torch
from mmdet.models.losses.focal_loss import py_sigmoid_focal_loss
from torch.nn.functional import one_hot
from torchvision.ops import sigmoid_focal_loss

from mmcv_torchvision_ops import extension
from tests.mmcv_torchvision_ops.cases import use


@pytest.fixture(autouse=True)
def ours(monkeypatch):
    use(extension, monkeypatch)


@pytest.fixture
def batch():
    """Logits of 12 samples and 5 classes, some extreme, and targets, some of them background."""
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(12, 5, generator=generator) * 4
    logits[0], logits[1] = 60, -60
    return logits.requires_grad_(), torch.randint(6, (12, ), generator=generator)


@pytest.mark.parametrize('gamma, alpha', [(2.0, 0.25), (1.5, 0.75)])
def test_equals_torchvisions_and_mmdets_own_formula(batch, gamma, alpha):
    logits, target = batch
    loss = mmcv.ops.sigmoid_focal_loss(logits, target, gamma, alpha, None, 'none')
    hot = one_hot(target, 6)[:, :5].float()
    torch.testing.assert_close(loss, sigmoid_focal_loss(logits, hot, alpha, gamma), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(loss, py_sigmoid_focal_loss(logits, hot, gamma=gamma, alpha=alpha, reduction='none'),
                               rtol=1e-5, atol=1e-6)
    for reduction in ('sum', 'mean'):
        (grad, ) = torch.autograd.grad(mmcv.ops.sigmoid_focal_loss(logits, target, gamma, alpha, None, reduction), logits)
        expected = sigmoid_focal_loss(logits.double(), hot.double(), alpha, gamma).sum() / (12 if reduction == 'mean' else 1)
        torch.testing.assert_close(grad, torch.autograd.grad(expected, logits)[0], rtol=1e-4, atol=1e-6)


def test_weights_of_classes(batch):
    logits, target = batch
    weight = torch.tensor([0.5, 1, 2, 3, 4])
    loss = mmcv.ops.sigmoid_focal_loss(logits, target, 2.0, 0.25, weight, 'none')
    plain = mmcv.ops.sigmoid_focal_loss(logits, target, 2.0, 0.25, None, 'none')
    factors = np.array([0.5, 1, 2, 3, 4, 1])[target.numpy()]
    np.testing.assert_allclose(loss.detach(), plain.detach() * factors[:, None], rtol=1e-6)


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_16_bits_and_no_samples(batch, dtype):
    logits, target = batch
    half = logits[2:].detach().to(dtype).requires_grad_()
    loss = mmcv.ops.sigmoid_focal_loss(half, target[2:], 2.0, 0.25, None, 'sum')
    loss.backward()
    exact = mmcv.ops.sigmoid_focal_loss(half.detach().float(), target[2:], 2.0, 0.25, None, 'sum')
    assert loss.dtype == dtype and half.grad.dtype == dtype and half.grad.isfinite().all()
    torch.testing.assert_close(loss.float(), exact, rtol=2e-2, atol=1e-2)
    assert mmcv.ops.sigmoid_focal_loss(logits[:0], target[:0], 2.0, 0.25, None, 'sum') == 0
