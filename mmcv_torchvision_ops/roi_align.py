"""RoIAlign by torchvision's kernels: to the bit what mmcv's compiled ones compute on a CPU."""

import torch
import torchvision  # noqa: F401, its operators are registered with torch.ops
from torch import Tensor

from mmcv_torchvision_ops.missing import missing
from mmcv_torchvision_ops.precision import wide


def roi_align_forward(input: Tensor, rois: Tensor, output: Tensor, argmax_y: Tensor, argmax_x: Tensor, *, aligned_height: int,
                      aligned_width: int, spatial_scale: float, sampling_ratio: int, pool_mode: int, aligned: bool) -> None:
    """Write the (K, C, aligned_height, aligned_width) means of ``input`` (N, C, H, W) in ``rois`` (K, 5) into ``output``."""
    if pool_mode == 0:
        missing("roi_align of pool_mode='max'")
    output.copy_(torch.ops.torchvision.roi_align(wide(input), wide(rois).to(wide(input)), spatial_scale, aligned_height,
                                                 aligned_width, sampling_ratio, aligned))


def roi_align_backward(grad_output: Tensor, rois: Tensor, argmax_y: Tensor, argmax_x: Tensor, grad_input: Tensor, *,
                       aligned_height: int, aligned_width: int, spatial_scale: float, sampling_ratio: int, pool_mode: int,
                       aligned: bool) -> None:
    """Write the gradient of the input, (N, C, H, W), into ``grad_input``."""
    grad = wide(grad_output)
    grad_input.copy_(torch.ops.torchvision._roi_align_backward(grad, wide(rois).to(grad), spatial_scale, aligned_height,
                                                               aligned_width, *grad_input.shape, sampling_ratio, aligned))
