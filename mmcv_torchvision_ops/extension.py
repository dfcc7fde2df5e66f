"""What is imported as ``mmcv._ext``: the operators by the names and signatures of mmcv's compiled module.

Results are written into the tensors that mmcv hands over, as the compiled operators do.
"""

from collections.abc import Callable
from typing import NoReturn

import torchvision

from mmcv_torchvision_ops.deform_attention import ms_deform_attn_backward, ms_deform_attn_forward
from mmcv_torchvision_ops.deform_conv import (
    deform_conv_backward_input,
    deform_conv_backward_parameters,
    deform_conv_forward,
    modulated_deform_conv_backward,
    modulated_deform_conv_forward,
)
from mmcv_torchvision_ops.focal_loss import sigmoid_focal_loss_backward, sigmoid_focal_loss_forward
from mmcv_torchvision_ops.missing import missing
from mmcv_torchvision_ops.nms import nms, softnms
from mmcv_torchvision_ops.roi_align import roi_align_backward, roi_align_forward
from mmcv_torchvision_ops.roi_pool import roi_pool_backward, roi_pool_forward

__all__ = [
    'deform_conv_backward_input', 'deform_conv_backward_parameters', 'deform_conv_forward', 'get_compiler_version',
    'get_compiling_cuda_version', 'modulated_deform_conv_backward', 'modulated_deform_conv_forward', 'ms_deform_attn_backward',
    'ms_deform_attn_forward', 'nms', 'roi_align_backward', 'roi_align_forward', 'roi_pool_backward', 'roi_pool_forward',
    'sigmoid_focal_loss_backward', 'sigmoid_focal_loss_forward', 'softnms',
]


def get_compiler_version() -> str:
    return f'none, operators of torchvision {torchvision.__version__}'


def get_compiling_cuda_version() -> str:
    return 'not available'


def __getattr__(name: str) -> Callable[..., NoReturn]:
    """Any other operator: mmcv asks for its name at import, and calls it if it is needed."""
    if name.startswith('__'):
        raise AttributeError(name)

    def operator(*_: object, **__: object) -> NoReturn:
        missing(name)

    return operator
