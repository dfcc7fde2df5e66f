import pytest
import torch
from torch import nn

from gaia_ssl.models.dynamic import DynamicConv2d
from gaia_ssl.models.dynamic.slicing import leading


@pytest.mark.parametrize('kernel, stride, dilation, bias', [
    (1, 1, 1, False),
    (1, 2, 1, True),
    (3, 2, 1, False),
    (3, 1, 2, True),
])
def test_is_the_convolution_with_the_leading_weights(kernel, stride, dilation, bias):
    settings = dict(stride=stride, padding=kernel // 2 * dilation, dilation=dilation, bias=bias)
    dynamic = DynamicConv2d(8, 12, kernel, **settings)
    static = nn.Conv2d(5, 7, kernel, **settings)
    with torch.no_grad():
        static.weight.copy_(dynamic.weight[:7, :5])
        if bias:
            static.bias.copy_(dynamic.bias[:7])
    x = torch.randn(2, 5, 9, 11)
    dynamic.active_channels = 7
    assert torch.equal(dynamic(x), static(x))


def test_whole_it_is_a_plain_convolution_with_plain_keys():
    dynamic, static = DynamicConv2d(4, 6, 3), nn.Conv2d(4, 6, 3)
    static.load_state_dict(dynamic.state_dict())
    x = torch.randn(2, 4, 8, 8)
    assert torch.equal(dynamic(x), static(x))


def test_gradient_reaches_the_leading_weights_alone():
    conv = DynamicConv2d(4, 6, 1)
    conv.active_channels = 3
    conv(torch.randn(2, 2, 5, 5)).square().sum().backward()
    assert (conv.weight.grad[:3, :2] != 0).all() and (conv.bias.grad[:3] != 0).all()
    assert not any(grad.any() for grad in (conv.weight.grad[3:], conv.weight.grad[:, 2:], conv.bias.grad[3:]))


def test_groups_are_refused():
    with pytest.raises(ValueError, match='one group'):
        DynamicConv2d(4, 4, 3, groups=2)


def test_a_slice_that_takes_everything_takes_no_view():
    tensor = torch.randn(3, 4)
    assert leading(tensor, 3, 4) is tensor
    assert torch.equal(leading(tensor, 2), tensor[:2])
    assert torch.equal(leading(tensor, 3, 1), tensor[:, :1])
