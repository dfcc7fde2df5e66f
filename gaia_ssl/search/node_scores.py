"""Scores of the nodes of a tree of archs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from gaia_ssl.search.task import STAGES
from gaia_ssl.space import ArchTree

STAGE_OF = dict(zip(STAGES, range(4), strict=True)) | {'z': 3}
"""Feature -> the stage (0 to 3) that it is read off."""


class NodeScores:
    """What each feature scored on each image, once for all archs that share it.

    For ``DATA_SPACE``, an image takes 39 kB for ``c2`` … ``c4`` together and 341 kB each for ``c5`` and ``z``.

    Args:
        tree: The archs.
        features: Which of ``c2`` … ``c5`` and ``z``.
        num_images: N.
    """

    def __init__(self, tree: ArchTree, features: Sequence[str], num_images: int) -> None:
        self._tree = tree
        self._scores = {feature: np.full((len(tree.stage_nodes(STAGE_OF[feature])), num_images), np.nan, dtype=np.float32)
                        for feature in features}

    def put(self, unit: int, first_image: int, values: Mapping[str, np.ndarray]) -> None:
        """Enter a unit's scores, each ``(nodes that it owns, n)``, of the images from ``first_image`` on."""
        for feature, array in values.items():
            columns = slice(first_image, first_image + array.shape[1])
            self._scores[feature][self._tree.owned(STAGE_OF[feature], unit), columns] = array

    def are_finite(self) -> bool:
        """Whether everything was entered and is finite."""
        return all(np.isfinite(scores).all() for scores in self._scores.values())

    def of(self, feature: str, rows: np.ndarray) -> np.ndarray:
        """Scores ``(len(rows), N)`` of the archs in these rows of the tree."""
        return self._scores[feature][self._nodes(feature, rows)]

    def mean(self, feature: str) -> np.ndarray:
        """Mean over the images, for each row of the tree, float64."""
        means = self._scores[feature].mean(axis=1, dtype=np.float64)
        return means[self._nodes(feature, np.arange(len(self._tree)))]

    def _nodes(self, feature: str, rows: np.ndarray) -> np.ndarray:
        return np.searchsorted(self._tree.stage_nodes(STAGE_OF[feature]), rows, side='right') - 1


def pack_scores(values: Mapping[str, np.ndarray]) -> bytes:
    """A unit's scores as bytes."""
    return b''.join(np.ascontiguousarray(array, dtype='<f4').tobytes() for array in values.values())


def packed_size(tree: ArchTree, unit: int, features: Sequence[str], images: int) -> int:
    """Bytes that :func:`pack_scores` makes of a unit's scores on so many images."""
    owned = [tree.owned(STAGE_OF[feature], unit) for feature in features]
    return 4 * images * sum(nodes.stop - nodes.start for nodes in owned)


def unpack_scores(payload: bytes, tree: ArchTree, unit: int, features: Sequence[str], images: int) -> dict[str, np.ndarray]:
    """What :func:`pack_scores` was given, of ``images`` images.

    Raises:
        ValueError: If the payload has another length.
    """
    values, arrays = np.frombuffer(payload, dtype='<f4'), {}
    for feature in features:
        owned = tree.owned(STAGE_OF[feature], unit)
        size = (owned.stop - owned.start) * images
        arrays[feature], values = values[:size].reshape(-1, images), values[size:]
    if len(values):
        raise ValueError(f'unit {unit} has {len(values)} numbers too many')
    return arrays
