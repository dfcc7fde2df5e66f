"""In which precision operators compute."""

import torch
from torch import Tensor


def wide(values: Tensor) -> Tensor:
    """In float32 at least: torchvision has no kernels for bfloat16, nor on a CPU for float16."""
    return values if values.dtype == torch.float64 else values.float()
