"""The scores of a task out of what was measured."""

from __future__ import annotations

import numpy as np

from gaia_ssl.search.node_scores import NodeScores
from gaia_ssl.search.task import quantities_of_task, relates_images


class TaskScores:
    """A task's similarity, of archs on images.

    By the paper's measure it is the mean over the task's features. Otherwise it is the mean over its quantities, each less its
    mean over all archs and divided by its standard deviation within budget groups (over archs, of their means over images), so
    that none outweighs the others by its unit: 0 is the average arch, 1 is one standard deviation better.

    Args:
        scores: Of all images.
        groups: Name of each arch's group, or empty, by row of the tree; ``(R,)``. Those outside all groups count as one.
        measure: One of :data:`~gaia_ssl.search.task.MEASURES`; None is each task's own.
    """

    def __init__(self, scores: NodeScores, groups: np.ndarray, measure: str | None) -> None:
        self._scores, self._measure = scores, measure
        self.means = {quantity: scores.mean(quantity) for quantity in scores.quantities}
        """Quantity -> mean over the images, ``(R,)``."""
        self._scales = {quantity: _scale(means, groups) for quantity, means in self.means.items() if relates_images(quantity)}

    def mean(self, task: str) -> np.ndarray:
        """Mean over the images, by row of the tree; ``(R,)``."""
        return np.mean([self._scaled(quantity, self.means[quantity])
                        for quantity in quantities_of_task(task, self._measure)], axis=0)

    def of(self, task: str, rows: np.ndarray) -> np.ndarray:
        """Of the archs in these rows of the tree, on each image; ``(len(rows), N)``."""
        return np.mean([self._scaled(quantity, self._scores.of(quantity, rows))
                        for quantity in quantities_of_task(task, self._measure)], axis=0)

    def _scaled(self, quantity: str, values: np.ndarray) -> np.ndarray:
        if quantity not in self._scales:
            return values
        offset, unit = self._scales[quantity]
        return (values.astype(np.float64) - offset) / unit


def _scale(means: np.ndarray, groups: np.ndarray) -> tuple[float, float]:
    """Mean, and standard deviation within groups; 1 in its place where all are equal but for rounding."""
    _, members = np.unique(groups, return_inverse=True)
    sizes = np.bincount(members)
    gaps = means - (np.bincount(members, means) / sizes)[members]
    spread = float(np.sqrt(np.mean(gaps**2)))
    return float(means.mean()), spread if spread > np.finfo(np.float32).eps * np.abs(means).max() else 1.0
