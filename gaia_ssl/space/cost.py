"""Closed-form cost of the stem and of each stage, for numbers and, by broadcasting, for whole arrays of them.

A bottleneck of width w with c input channels holds a 1x1 (c -> w), a 3x3 (w -> w) and a 1x1 (w -> 4w) convolution; the
first one of a stage also a 1x1 shortcut (c -> 4w). The stride of stages 2-4 sits on the first block's 3x3, so that
block's first 1x1 still works at the stage's input size.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np

from gaia_ssl.errors import UserError

Numbers: TypeAlias = 'int | np.ndarray'
EXPANSION = 4
STRIDES = (1, 2, 2, 2)
STEM_KERNELS = {7: (2, 2), 3: (1, 1)}
"""Stem kernel -> (stride of the convolution, stride of the max-pool; 1 is no pool)."""
RESOLUTIONS = {7: 224, 3: 32}
"""Stem kernel -> side of the images that it is for, in pixels."""


def feature_sizes(resolution: int | tuple[int, int], stem_kernel: int) -> list[tuple[int, int]]:
    """``(height, width)`` after the stem's convolution, at the input of stage 1, and of C2, C3, C4 and C5."""
    if stem_kernel not in STEM_KERNELS:
        raise UserError(f'stem_kernel is {stem_kernel}; use 7 (images of about 224 px) or 3 (about 32 px)')
    size = tuple(resolution) if isinstance(resolution, Sequence) else (resolution, resolution)
    if len(size) != 2 or min(size) < 1:
        raise UserError(f'resolution is {resolution}; give a positive side or (height, width) in pixels')
    height, width = size
    sizes = []
    for stride in (*STEM_KERNELS[stem_kernel], *STRIDES):
        height, width = -(-height // stride), -(-width // stride)  # every padded convolution here gives ceil(side / stride)
        sizes.append((height, width))
    return sizes


def flops_per_stage(stem: Numbers, widths: Sequence[Numbers], depths: Sequence[Numbers],
                    resolution: int | tuple[int, int] = 224, stem_kernel: int = 7, in_channels: int = 3) -> list[Any]:
    """Multiply-adds of ``[stem, stage 1, …, stage 4]``; the arguments may be arrays that broadcast."""
    area = [height * width for height, width in feature_sizes(resolution, stem_kernel)]
    flops = [in_channels * stem * stem_kernel**2 * area[0]]
    channels = stem
    for stage, (w, d) in enumerate(zip(widths, depths, strict=True)):
        before, after = area[stage + 1], area[stage + 2]
        first = channels * w * before + (9 * w * w + EXPANSION * w * w + EXPANSION * channels * w) * after
        other = (2 * EXPANSION * w * w + 9 * w * w) * after
        flops.append(first + (d - 1) * other)
        channels = EXPANSION * w
    return flops


def params_per_stage(stem: Numbers, widths: Sequence[Numbers], depths: Sequence[Numbers], stem_kernel: int = 7,
                     norm: bool = True, in_channels: int = 3) -> list[Any]:
    """Parameters of ``[stem, stage 1, …, stage 4]``; the arguments may be arrays that broadcast."""
    params = [in_channels * stem * stem_kernel**2 + 2 * stem * norm]
    channels = stem
    for w, d in zip(widths, depths, strict=True):
        block_norm = 2 * (2 * w + EXPANSION * w) * norm
        first = channels * w + (9 + EXPANSION) * w * w + EXPANSION * channels * w + 2 * EXPANSION * w * norm
        other = (9 + 2 * EXPANSION) * w * w
        params.append(first + (d - 1) * other + d * block_norm)
        channels = EXPANSION * w
    return params
