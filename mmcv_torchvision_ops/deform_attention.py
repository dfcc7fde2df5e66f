"""Multi-scale deformable attention (Deformable DETR), which mmcv itself has in torch for the CPU; here for any device."""

import torch
from torch import Tensor


def ms_deform_attn_forward(value: Tensor, value_spatial_shapes: Tensor, value_level_start_index: Tensor,
                           sampling_locations: Tensor, attention_weights: Tensor, *, im2col_step: int) -> Tensor:
    """(N, queries, heads * channels); shapes as of mmcv's ``multi_scale_deformable_attn_pytorch``."""
    from mmcv.ops.multi_scale_deform_attn import multi_scale_deformable_attn_pytorch
    return multi_scale_deformable_attn_pytorch(value, value_spatial_shapes, sampling_locations.to(value),
                                               attention_weights.to(value))


def ms_deform_attn_backward(value: Tensor, value_spatial_shapes: Tensor, value_level_start_index: Tensor,
                            sampling_locations: Tensor, attention_weights: Tensor, grad_output: Tensor, grad_value: Tensor,
                            grad_sampling_loc: Tensor, grad_attn_weight: Tensor, *, im2col_step: int) -> None:
    """Write the gradients of value, locations and weights; the forward is computed again for them."""
    leaves = [each.detach().requires_grad_() for each in (value, sampling_locations, attention_weights)]
    with torch.enable_grad():
        output = ms_deform_attn_forward(leaves[0], value_spatial_shapes, value_level_start_index, *leaves[1:],
                                        im2col_step=im2col_step)
    grads = torch.autograd.grad(output, leaves, grad_output.to(output))
    for written, grad in zip((grad_value, grad_sampling_loc, grad_attn_weight), grads, strict=True):
        written.copy_(grad)
