"""Convolution of which a subnet uses the leading channels."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from gaia_ssl.models.dynamic.slicing import leading


class DynamicConv2d(nn.Conv2d):
    """``nn.Conv2d`` (one group) that puts out the first ``active_channels`` channels.

    The input width is read from the input: ``(N, c, H, W)`` uses the first ``c`` input channels of the weight.

    Attributes:
        active_channels: Output channels in use; all of them at first.
        kept_slices: None, or for a weight that no longer changes, a dict in which its slices are kept once they are laid
            out for a convolution.
    """

    kept_slices: dict[tuple[int, int], Tensor] | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.groups != 1:
            raise ValueError(f'DynamicConv2d has one group, not {self.groups}')
        self.active_channels = self.out_channels

    def forward(self, x: Tensor) -> Tensor:
        bias = None if self.bias is None else leading(self.bias, self.active_channels)
        return self._conv_forward(x, self._leading_weight(x.size(1)), bias)

    def _leading_weight(self, in_channels: int) -> Tensor:
        if self.kept_slices is None:
            return leading(self.weight, self.active_channels, in_channels)
        key = self.active_channels, in_channels
        if key not in self.kept_slices:
            part = leading(self.weight, *key)
            self.kept_slices[key] = part.contiguous(memory_format=torch.channels_last)
        return self.kept_slices[key]
