"""Calls of mmcv's operators on random and degenerate input: name -> function that returns arrays.

``python -m tests.mmcv_torchvision_ops.cases``, with compiled operators installed, writes what they answer to ``compiled.npz``.
"""

from __future__ import annotations

import functools
import pathlib
import sys
from collections.abc import Callable
from types import ModuleType

import mmcv.ops
import numpy as np
import pytest
import torch
from torch import Tensor

RECORDED = pathlib.Path(__file__).with_name('compiled.npz')
Outputs = dict[str, np.ndarray]


def use(extension: ModuleType, patch: pytest.MonkeyPatch) -> None:
    """Let mmcv call the operators of ``extension``; some of its modules hide behind a function of the same name."""
    for name in ('nms', 'roi_align', 'roi_pool', 'deform_conv', 'modulated_deform_conv', 'focal_loss',
                 'multi_scale_deform_attn'):
        patch.setattr(sys.modules[f'mmcv.ops.{name}'], 'ext_module', extension)


def random(seed: int, *shape: int) -> np.ndarray:
    """Uniform float32 numbers in [0, 1); the legacy generator draws the same with every NumPy."""
    return np.random.RandomState(seed).random_sample(shape).astype(np.float32)


def boxes(seed: int, count: int, side: float = 64) -> np.ndarray:
    """(count, 4), some reaching out of a square of that side."""
    corners = random(seed, count, 2) * side - 0.1 * side
    return np.concatenate([corners, corners + random(seed + 1, count, 2) * side / 2], axis=1)


def nms(given: np.ndarray, threshold: float, **settings: float) -> Outputs:
    dets, kept = mmcv.ops.nms(torch.from_numpy(given), torch.from_numpy(random(7, len(given))), threshold, **settings)
    return dict(dets=dets.numpy(), kept=kept.numpy())


def soft_nms(given: np.ndarray, method: str, offset: int, **settings: float) -> Outputs:
    dets, kept = mmcv.ops.soft_nms(torch.from_numpy(given), torch.from_numpy(random(7, len(given))), 0.3, method=method,
                                   offset=offset, **settings)
    return dict(dets=dets.numpy(), kept=kept.numpy())


def roi_align(regions: np.ndarray, scale: float, sampling: int, aligned: bool, dtype: torch.dtype = torch.float32) -> Outputs:
    maps = leaf(random(3, 2, 3, 9, 12), dtype)
    rois = torch.from_numpy(np.concatenate([np.arange(len(regions))[:, None] % 2, regions], axis=1).astype(np.float32))
    pooled = mmcv.ops.roi_align(maps, rois.to(dtype), (3, 2), scale, sampling, 'avg', aligned)
    return with_gradients(pooled, maps=maps)


def deform_conv(groups: int, offsets: int, modulated: bool, bias: bool = False, batch: int = 2, **geometry: int) -> Outputs:
    kernel, stride = 3, geometry.get('stride', 1)
    images, weight = leaf(random(4, batch, 4, 8, 7) - 0.5), leaf(random(5, 6, 4 // groups, kernel, kernel) - 0.5)
    rows, columns = (1 + (side + 2 * geometry.get('padding', 0) - geometry.get('dilation', 1) * 2 - 1) // stride
                     for side in (8, 7))
    moves = leaf(random(6, batch, 2 * offsets * kernel ** 2, rows, columns) * 6 - 3)
    settings = (geometry.get('stride', 1), geometry.get('padding', 0), geometry.get('dilation', 1), groups, offsets)
    if not modulated:
        output = mmcv.ops.deform_conv2d(images, moves, weight, *settings)
        return with_gradients(output, images=images, moves=moves, weight=weight)
    mask, shift = leaf(random(8, batch, offsets * kernel ** 2, rows, columns)), leaf(random(9, 6)) if bias else None
    output = mmcv.ops.modulated_deform_conv2d(images, moves, mask, weight, shift, *settings)
    return with_gradients(output, images=images, moves=moves, weight=weight, mask=mask, **(dict(bias=shift) if bias else {}))


def leaf(values: np.ndarray, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.from_numpy(values).to(dtype).requires_grad_()


def with_gradients(output: Tensor, **leaves: Tensor) -> Outputs:
    """The output, and the gradients for a random one of its own."""
    output.backward(torch.from_numpy(random(2, *output.shape)).to(output))
    grads = {f'grad_{name}': each.grad for name, each in leaves.items()}
    return {name: each.detach().float().numpy() for name, each in dict(output=output, **grads).items()}


FLAT = boxes(11, 20)
FLAT[::3, 2] = FLAT[::3, 0]  # no width
FLAT[1::3, 2:] = FLAT[1::3, :2]  # a point
SAME = np.repeat(boxes(12, 4), 5, axis=0)
NONE = boxes(13, 0)
WHOLE = np.array([[0, 0, 12, 9], [-30, -30, 60, 60], [100, 100, 120, 120], [-9, -9, -3, -3]], dtype=np.float32)

CASES: dict[str, Callable[[], Outputs]] = {
    **{f'nms of 150 boxes at {threshold}, offset {offset}': functools.partial(nms, boxes(1, 150), threshold, offset=offset)
       for threshold in (0.1, 0.5, 0.9) for offset in (0, 1)},
    **{f'nms of {name}, offset {offset}': functools.partial(nms, given, 0.5, offset=offset)
       for name, given in dict(none=NONE, one=boxes(14, 1), flat=FLAT, same=SAME).items() for offset in (0, 1)},
    'nms with a least score and a number': functools.partial(nms, boxes(1, 150), 0.5, score_threshold=0.3, max_num=20),
    **{f'soft-NMS {method} of {name}, offset {offset}': functools.partial(soft_nms, given, method, offset, min_score=0.05)
       for method in ('naive', 'linear', 'gaussian') for offset in (0, 1)
       for name, given in dict(many=boxes(1, 60), none=NONE, one=boxes(14, 1), flat=FLAT[1:]).items()
       if (name, offset) != ('flat', 0)},
    **{f'roi_align of {name}, scale {scale}, sampling {sampling}, aligned {aligned}':
       functools.partial(roi_align, given, scale, sampling, aligned)
       for name, given in dict(many=boxes(20, 30), none=NONE, one=boxes(21, 1), flat=FLAT, whole=WHOLE).items()
       for scale, sampling, aligned in ((0.25, 0, True), (0.25, 2, True), (1.0, 0, False), (0.2, 3, False))},
    'roi_align in float64': functools.partial(roi_align, boxes(20, 30), 0.25, 0, True, torch.float64),
    'roi_align in float16': functools.partial(roi_align, boxes(20, 30, side=24) + 4, 0.25, 2, True, torch.float16),
    'deform_conv': functools.partial(deform_conv, 1, 1, False, padding=1),
    'deform_conv in groups': functools.partial(deform_conv, 2, 2, False, padding=1, stride=2),
    'deform_conv dilated': functools.partial(deform_conv, 2, 1, False, padding=2, dilation=2),
    'deform_conv of one image': functools.partial(deform_conv, 1, 4, False, batch=1),
    'modulated_deform_conv': functools.partial(deform_conv, 1, 1, True, padding=1),
    'modulated_deform_conv with bias': functools.partial(deform_conv, 1, 1, True, bias=True, padding=1),
    'modulated_deform_conv in groups': functools.partial(deform_conv, 2, 2, True, bias=True, padding=2, dilation=2, stride=2),
    'modulated_deform_conv of one image': functools.partial(deform_conv, 1, 2, True, batch=1),
}


def record() -> None:
    arrays = {f'{case}/{name}': values for case, call in CASES.items() for name, values in call().items()}
    np.savez_compressed(RECORDED, **arrays)
    print(f'{len(CASES)} cases, {RECORDED.stat().st_size / 1e3:.0f} kB, operators: {mmcv.ops.get_compiler_version()}')


if __name__ == '__main__':
    assert 'torchvision' not in mmcv.ops.get_compiler_version(), 'no compiled operators here'
    record()
