"""Deformable convolutions, plain and modulated, by torchvision's kernels.

``columns`` and ``ones`` are work space of the compiled operators, ``im2col_step`` how many images these take at once; neither
is needed here.
"""

import torch
import torchvision  # noqa: F401, its operators are registered with torch.ops
from torch import Tensor

from mmcv_torchvision_ops.precision import wide


def deform_conv_forward(input: Tensor, weight: Tensor, offset: Tensor, output: Tensor, columns: Tensor, ones: Tensor, *,
                        kW: int, kH: int, dW: int, dH: int, padW: int, padH: int, dilationW: int, dilationH: int, group: int,
                        deformable_group: int, im2col_step: int) -> None:
    """Write the convolution of ``input`` (N, C, H, W), at positions moved by ``offset`` (N, 2 G kH kW, H', W')."""
    geometry = (dH, dW, padH, padW, dilationH, dilationW, group, deformable_group)
    output.copy_(_forward(input, weight, offset, None, None, geometry))


def deform_conv_backward_input(input: Tensor, offset: Tensor, grad_output: Tensor, grad_input: Tensor, grad_offset: Tensor,
                               weight: Tensor, columns: Tensor, *, kW: int, kH: int, dW: int, dH: int, padW: int, padH: int,
                               dilationW: int, dilationH: int, group: int, deformable_group: int, im2col_step: int) -> None:
    """Write the gradients of input and offset."""
    geometry = (dH, dW, padH, padW, dilationH, dilationW, group, deformable_group)
    of_input, _, of_offset, _, _ = _backward(grad_output, input, weight, offset, None, None, geometry)
    grad_input.copy_(of_input)
    grad_offset.copy_(of_offset)


def deform_conv_backward_parameters(input: Tensor, offset: Tensor, grad_output: Tensor, grad_weight: Tensor, columns: Tensor,
                                    ones: Tensor, *, kW: int, kH: int, dW: int, dH: int, padW: int, padH: int, dilationW: int,
                                    dilationH: int, group: int, deformable_group: int, scale: float, im2col_step: int) -> None:
    """Add ``scale`` times the weight's gradient to ``grad_weight``."""
    geometry = (dH, dW, padH, padW, dilationH, dilationW, group, deformable_group)
    of_weight = _backward(grad_output, input, grad_weight, offset, None, None, geometry)[1]
    grad_weight.add_(of_weight.to(grad_weight), alpha=scale)


def modulated_deform_conv_forward(input: Tensor, weight: Tensor, bias: Tensor, ones: Tensor, offset: Tensor, mask: Tensor,
                                  output: Tensor, columns: Tensor, *, kernel_h: int, kernel_w: int, stride_h: int,
                                  stride_w: int, pad_h: int, pad_w: int, dilation_h: int, dilation_w: int, group: int,
                                  deformable_group: int, with_bias: bool) -> None:
    """As :func:`deform_conv_forward`, each position weighted by ``mask`` (N, G kH kW, H', W')."""
    geometry = (stride_h, stride_w, pad_h, pad_w, dilation_h, dilation_w, group, deformable_group)
    output.copy_(_forward(input, weight, offset, mask, bias if with_bias else None, geometry))


def modulated_deform_conv_backward(input: Tensor, weight: Tensor, bias: Tensor, ones: Tensor, offset: Tensor, mask: Tensor,
                                   columns: Tensor, grad_input: Tensor, grad_weight: Tensor, grad_bias: Tensor,
                                   grad_offset: Tensor, grad_mask: Tensor, grad_output: Tensor, *, kernel_h: int, kernel_w: int,
                                   stride_h: int, stride_w: int, pad_h: int, pad_w: int, dilation_h: int, dilation_w: int,
                                   group: int, deformable_group: int, with_bias: bool) -> None:
    """Write all gradients."""
    geometry = (stride_h, stride_w, pad_h, pad_w, dilation_h, dilation_w, group, deformable_group)
    grads = _backward(grad_output, input, weight, offset, mask, bias if with_bias else None, geometry)
    for written, grad in zip((grad_input, grad_weight, grad_offset, grad_mask), grads, strict=False):
        written.copy_(grad)
    if with_bias:
        grad_bias.copy_(grads[4])


Geometry = tuple[int, int, int, int, int, int, int, int]
"""Strides, paddings and dilations, the vertical one first, then the groups of channels and of offsets."""


def _forward(input: Tensor, weight: Tensor, offset: Tensor, mask: Tensor | None, bias: Tensor | None,
             geometry: Geometry) -> Tensor:
    return torch.ops.torchvision.deform_conv2d(*_arguments(input, weight, offset, mask, bias), *geometry, mask is not None)


def _backward(grad_output: Tensor, input: Tensor, weight: Tensor, offset: Tensor, mask: Tensor | None, bias: Tensor | None,
              geometry: Geometry) -> tuple[Tensor, ...]:
    """Gradients of input, weight, offset, mask and bias."""
    return torch.ops.torchvision._deform_conv2d_backward(wide(grad_output), *_arguments(input, weight, offset, mask, bias),
                                                         *geometry, mask is not None)


def _arguments(input: Tensor, weight: Tensor, offset: Tensor, mask: Tensor | None, bias: Tensor | None) -> tuple[Tensor, ...]:
    """As torchvision's operators take them, stand-ins included."""
    input = wide(input)
    mask = input.new_zeros(len(input), 1) if mask is None else wide(mask)
    bias = input.new_zeros(len(weight)) if bias is None else wide(bias)
    return input, wide(weight), wide(offset), mask, bias
