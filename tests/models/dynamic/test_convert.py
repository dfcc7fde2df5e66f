import torch
from torch import nn
from torch.nn import functional as F

from gaia_ssl.models.dynamic import DynamicConv2d, DynamicLinear, make_dynamic


class Special(nn.Linear):
    """Someone's own linear layer."""


def test_make_dynamic_keeps_parameters_and_leaves_the_rest():
    module = nn.Sequential(nn.Linear(8, 6), nn.ReLU(), nn.Sequential(nn.Linear(6, 4, bias=False), Special(4, 4)))
    before = dict(module.named_parameters())
    expected = module[2](F.relu(F.linear(torch.ones(2, 5), module[0].weight[:, :5], module[0].bias)))
    assert make_dynamic(module) is module
    assert type(module[0]) is type(module[2][0]) is DynamicLinear and type(module[2][1]) is Special
    assert all(before[name] is parameter for name, parameter in module.named_parameters())
    assert torch.equal(module(torch.ones(2, 5)), expected)


def test_a_bare_linear_turns_too():
    assert type(make_dynamic(nn.Linear(2, 2))) is DynamicLinear


def test_convolutions_take_narrower_maps():
    module = nn.Sequential(nn.Conv2d(8, 6, 1), nn.ReLU(), nn.Conv2d(6, 4, 3, padding=1))
    x = torch.randn(2, 5, 7, 7)
    hidden = F.relu(F.conv2d(x, module[0].weight[:, :5], module[0].bias))
    expected = F.conv2d(hidden, module[2].weight, module[2].bias, padding=1)
    make_dynamic(module)
    assert type(module[0]) is type(module[2]) is DynamicConv2d
    assert torch.equal(module(x), expected)
