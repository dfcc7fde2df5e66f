"""Scores of the nodes of a tree of archs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from gaia_ssl.search.task import STAGE_OF, feature_of
from gaia_ssl.space import ArchTree


class NodeScores:
    """What each quantity scored on each image, once for all archs that share the feature.

    For ``DATA_SPACE``, an image takes 39 kB for ``c2`` … ``c4`` together and 341 kB each for ``c5`` and ``z``.

    Args:
        tree: The archs.
        quantities: As :func:`gaia_ssl.search.task.quantities_of` gives them.
        num_images: N.
    """

    def __init__(self, tree: ArchTree, quantities: Sequence[str], num_images: int) -> None:
        self._tree = tree
        self.quantities = tuple(quantities)
        self._scores = {quantity: np.full((len(tree.stage_nodes(stage_of(quantity))), num_images), np.nan, dtype=np.float32)
                        for quantity in self.quantities}

    def put(self, unit: int, first_image: int, values: Mapping[str, np.ndarray]) -> None:
        """Enter a unit's scores, each ``(nodes that it owns, n)``, of the images from ``first_image`` on."""
        for quantity, array in values.items():
            columns = slice(first_image, first_image + array.shape[1])
            self._scores[quantity][self._tree.owned(stage_of(quantity), unit), columns] = array

    def are_finite(self) -> bool:
        """Whether everything was entered and is finite."""
        return all(np.isfinite(scores).all() for scores in self._scores.values())

    def of(self, quantity: str, rows: np.ndarray) -> np.ndarray:
        """Scores ``(len(rows), N)`` of the archs in these rows of the tree."""
        return self._scores[quantity][self._nodes(quantity, rows)]

    def mean(self, quantity: str) -> np.ndarray:
        """Mean over the images, for each row of the tree, float64."""
        means = self._scores[quantity].mean(axis=1, dtype=np.float64)
        return means[self._nodes(quantity, np.arange(len(self._tree)))]

    def _nodes(self, quantity: str, rows: np.ndarray) -> np.ndarray:
        return np.searchsorted(self._tree.stage_nodes(stage_of(quantity)), rows, side='right') - 1


def stage_of(quantity: str) -> int:
    """The stage (0 to 3) that a quantity's feature is read off."""
    return STAGE_OF[feature_of(quantity)]


def pack_scores(values: Mapping[str, np.ndarray]) -> bytes:
    """A unit's scores as bytes."""
    return b''.join(np.ascontiguousarray(array, dtype='<f4').tobytes() for array in values.values())


def packed_size(tree: ArchTree, unit: int, quantities: Sequence[str], images: int) -> int:
    """Bytes that :func:`pack_scores` makes of a unit's scores on so many images."""
    owned = [tree.owned(stage_of(quantity), unit) for quantity in quantities]
    return 4 * images * sum(nodes.stop - nodes.start for nodes in owned)


def unpack_scores(payload: bytes, tree: ArchTree, unit: int, quantities: Sequence[str], images: int) -> dict[str, np.ndarray]:
    """What :func:`pack_scores` was given, of ``images`` images.

    Raises:
        ValueError: If the payload has another length.
    """
    values, arrays = np.frombuffer(payload, dtype='<f4'), {}
    for quantity in quantities:
        owned = tree.owned(stage_of(quantity), unit)
        size = (owned.stop - owned.start) * images
        arrays[quantity], values = values[:size].reshape(-1, images), values[size:]
    if len(values):
        raise ValueError(f'unit {unit} has {len(values)} numbers too many')
    return arrays
