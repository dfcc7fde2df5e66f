import torch
from torch import nn
from torch.nn import functional as F

from gaia_ssl.models.dynamic import DynamicLinear, make_dynamic


def test_input_chooses_the_columns():
    linear = DynamicLinear(8, 5)
    x = torch.randn(3, 6)
    torch.testing.assert_close(linear(x), x @ linear.weight[:, :6].T + linear.bias, rtol=0, atol=1e-6)
    assert torch.equal(linear(x), F.linear(x, linear.weight[:, :6], linear.bias))
    x = torch.randn(2, 3, 8)
    assert torch.equal(linear(x), F.linear(x, linear.weight, linear.bias))


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
