"""Which images are changed and by how much, as mmpretrain's transforms of single images would draw it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from mmcv.transforms import RandomApply, RandomFlip, RandomGrayscale
from mmengine.registry import DefaultScope
from mmpretrain.datasets.transforms import ColorJitter, GaussianBlur, Solarize
from mmpretrain.registry import TRANSFORMS
from torch import Tensor

from gaia_ssl.models.views import changes


class Step(NamedTuple):
    """One change of some images."""
    change: Callable[[Tensor, Tensor], Tensor]
    rows: np.ndarray
    """Positions in the batch, ``(M, )``."""
    amounts: np.ndarray
    """Of each, ``(M, )``."""


class ChangedViews:
    """A batch of images, each changed by chance.

    Args:
        transforms: Configs of mmcv's and mmpretrain's transforms, of which :func:`can_change` holds.
    """

    def __init__(self, transforms: Sequence[Mapping[str, Any]]) -> None:
        self._transforms = list(map(_built, transforms))

    def __call__(self, images: Tensor, rng: np.random.Generator) -> Tensor:
        """``(N, 3, H, W)``, blue green red in [0, 255], bytes or float, to the same in float32.

        The chances are drawn on the host and reach the device in one copy.
        """
        images = images.float()
        steps = [step for transform in self._transforms for step in _draw(transform, np.arange(len(images)), rng)]
        steps = [step for step in steps if len(step.rows)]
        if not steps:
            return images
        sizes = [len(step.rows) for step in steps]
        told = torch.from_numpy(np.stack([np.concatenate([step.rows for step in steps]),
                                          np.concatenate([step.amounts for step in steps])]))
        if images.is_cuda:
            told = told.pin_memory()
        rows, amounts = told.to(images.device, non_blocking=True)
        for step, of_step, by in zip(steps, rows.long().split(sizes), amounts.float().split(sizes), strict=True):
            images = images.index_copy(0, of_step, step.change(images.index_select(0, of_step), by))
        return images


def can_change(transform: Mapping[str, Any]) -> bool:
    """Whether :class:`ChangedViews` does what this transform of a config does."""
    try:
        return _known(_built(transform))
    except (TypeError, KeyError, AssertionError):
        return False


def _built(transform: Mapping[str, Any]) -> Any:
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        return TRANSFORMS.build(dict(transform))


def _known(transform: Any) -> bool:
    if type(transform) is RandomApply:
        return all(map(_known, transform.transforms.transforms))
    if type(transform) is ColorJitter:
        return transform.backend == 'pillow'
    if type(transform) is RandomGrayscale:
        weights = np.array(transform.channel_weights)
        return transform.keep_channels and transform.color_format == 'bgr' and np.allclose(weights, changes.LUMA, atol=1e-3)
    if type(transform) is GaussianBlur:
        bounds = transform.magnitude_range
        uniform = transform.magnitude_std == 'inf' and transform.magnitude_level == transform.total_level
        return bounds is not None and uniform and max(bounds) <= changes.SIGMA_MAX
    if type(transform) is Solarize:
        return transform.thr is not None
    return type(transform) is RandomFlip and transform.direction == 'horizontal' and isinstance(transform.prob, float | int)


def _draw(transform: Any, rows: np.ndarray, rng: np.random.Generator) -> list[Step]:
    """The steps that a transform takes with these images."""
    if isinstance(transform, RandomApply):
        rows = _some(rows, transform.prob, rng)
        return [step for each in transform.transforms.transforms for step in _draw(each, rows, rng)]
    if isinstance(transform, ColorJitter):
        return _jitter(transform, rows, rng)
    rows = _some(rows, transform.prob, rng)
    if isinstance(transform, GaussianBlur):
        low, high = transform.magnitude_range
        return [Step(changes.blur, rows, rng.uniform(low, high, len(rows)))]
    if isinstance(transform, Solarize):
        return [Step(changes.solarize, rows, np.full(len(rows), transform.thr))]
    change = changes.gray if isinstance(transform, RandomGrayscale) else changes.flip
    return [Step(change, rows, np.zeros(len(rows)))]


def _jitter(transform: ColorJitter, rows: np.ndarray, rng: np.random.Generator) -> list[Step]:
    """Four changes in an order that each image draws for itself."""
    kinds = ((changes.brighten, transform.brightness), (changes.contrast, transform.contrast),
             (changes.saturate, transform.saturation), (changes.shift_hue, transform.hue))
    orders = rng.permuted(np.tile(np.arange(len(kinds)), (len(rows), 1)), axis=1)
    steps = []
    for place in range(len(kinds)):
        for kind, (change, bounds) in enumerate(kinds):
            if bounds is not None:
                chosen = rows[orders[:, place] == kind]
                steps.append(Step(change, chosen, rng.uniform(bounds[0], bounds[1], len(chosen))))
    return steps


def _some(rows: np.ndarray, prob: float, rng: np.random.Generator) -> np.ndarray:
    return rows[rng.random(len(rows)) < prob]
