import pytest
import torch
from torch import nn

from gaia_ssl.models import DynamicResNet
from gaia_ssl.models.dynamic.statistics import batch_statistics


def test_normalises_by_the_batch_and_leaves_no_trace(tiny_space):
    net = DynamicResNet(tiny_space, stem_kernel=3, norm_cfg=dict(type='BN', requires_grad=True))
    net.train()
    net.layer2.eval()
    modes = {name: child.training for name, child in net.named_modules()}
    state = {name: value.clone() for name, value in net.state_dict().items()}
    x = torch.randn(4, 3, 16, 16)
    with batch_statistics(net):
        assert not any(child.training for child in net.modules())
        outs = net(x)
    assert {name: child.training for name, child in net.named_modules()} == modes
    assert all(torch.equal(value, state[name]) for name, value in net.state_dict().items())
    for out, expected in zip(outs, net.train()(x), strict=True):
        assert torch.equal(out, expected)


def test_restores_after_an_error():
    norm = nn.BatchNorm2d(3)
    mean = norm.running_mean
    with pytest.raises(KeyboardInterrupt), batch_statistics(norm):
        raise KeyboardInterrupt
    assert norm.training and norm.running_mean is mean
