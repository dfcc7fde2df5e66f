"""The scores of a task out of what was measured."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from gaia_ssl.search.task import quantities_of_task, relates_images

Scales = dict[str, tuple[float, float]]
"""Quantity -> what is 0 and what is 1 of its scale."""


class TaskScores:
    """A task's similarity, of archs on image batches.

    By the paper's measure it is the mean over the task's features. Otherwise it is the mean over its quantities, each less its
    mean over all archs and divided by its standard deviation within budget groups (over archs, of their means over images), so
    that none outweighs the others by its unit: 0 is the average arch, 1 is one standard deviation better.

    Args:
        sums: Quantity -> sum over the images of each batch, ``(R, B)``.
        sizes: Images of each batch, ``(B,)``.
        measure: One of :data:`~gaia_ssl.search.task.MEASURES`; None is each task's own.
        scales: Of quantities between images, of :func:`scales_of`.
    """

    def __init__(self, sums: Mapping[str, np.ndarray], sizes: np.ndarray, measure: str | None, scales: Scales) -> None:
        self._sums, self._size = sums, np.mean(sizes)
        self._measure, self._scales = measure, scales
        self.means = _means_of(sums, sizes)
        """Quantity -> mean over the images, ``(R,)``."""

    def mean(self, task: str) -> np.ndarray:
        """Mean over the images; ``(R,)``."""
        return np.mean([self._scaled(quantity, self.means[quantity])
                        for quantity in quantities_of_task(task, self._measure)], axis=0)

    def of(self, task: str, rows: np.ndarray) -> np.ndarray:
        """Of the archs in these rows on each batch, ``(len(rows), B)``; its mean is that over the images."""
        return np.mean([self._scaled(quantity, self._sums[quantity][rows] / self._size)
                        for quantity in quantities_of_task(task, self._measure)], axis=0)

    def _scaled(self, quantity: str, values: np.ndarray) -> np.ndarray:
        if quantity not in self._scales:
            return values
        offset, unit = self._scales[quantity]
        return (values - offset) / unit


def _means_of(sums: Mapping[str, np.ndarray], sizes: np.ndarray) -> dict[str, np.ndarray]:
    """Quantity -> mean over the images, ``(R,)``, of sums over those of each batch."""
    return {quantity: values.sum(axis=1) / np.sum(sizes) for quantity, values in sums.items()}


def scales_of(sums: Mapping[str, np.ndarray], sizes: np.ndarray, groups: np.ndarray) -> Scales:
    """Of the quantities that relate images: the mean, and the standard deviation within groups.

    Args:
        sums, sizes: Of all archs, as for :class:`TaskScores`.
        groups: Name of each arch's group, or empty; ``(R,)``. Those outside all groups count as one.
    """
    return {quantity: _scale(means, groups) for quantity, means in _means_of(sums, sizes).items() if relates_images(quantity)}


def _scale(means: np.ndarray, groups: np.ndarray) -> tuple[float, float]:
    """1 in the standard deviation's place where all are equal but for rounding."""
    _, members = np.unique(groups, return_inverse=True)
    sizes = np.bincount(members)
    gaps = means - (np.bincount(members, means) / sizes)[members]
    spread = float(np.sqrt(np.mean(gaps**2)))
    return float(means.mean()), spread if spread > np.finfo(np.float32).eps * np.abs(means).max() else 1.0
