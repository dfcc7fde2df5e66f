"""Convolution of which a subnet uses the leading channels."""

from torch import Tensor, nn

from gaia_ssl.models.dynamic.slicing import leading


class DynamicConv2d(nn.Conv2d):
    """``nn.Conv2d`` (one group) that puts out the first ``active_channels`` channels.

    The input width is read from the input: ``(N, c, H, W)`` uses the first ``c`` input channels of the weight.

    Attributes:
        active_channels: Output channels in use; all of them at first.
    """

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        if self.groups != 1:
            raise ValueError(f'DynamicConv2d has one group, not {self.groups}')
        self.active_channels = self.out_channels

    def forward(self, x: Tensor) -> Tensor:
        weight = leading(self.weight, self.active_channels, x.size(1))
        bias = None if self.bias is None else leading(self.bias, self.active_channels)
        return self._conv_forward(x, weight, bias)
