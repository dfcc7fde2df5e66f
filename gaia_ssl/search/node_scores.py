"""Scores of the nodes of a tree of archs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from gaia_ssl.search.task import STAGE_OF, feature_of
from gaia_ssl.space import ArchTree


class NodeScores:
    """What each quantity scored on each image, or image batch, once for all archs that share the feature.

    For ``DATA_SPACE``, a column takes 77 kB for ``c2`` … ``c4`` together and 682 kB each for ``c5`` and ``z``.

    Args:
        tree: The archs.
        quantities: As :func:`gaia_ssl.search.task.quantities_of` gives them.
        columns: C, images or image batches.
    """

    def __init__(self, tree: ArchTree, quantities: Sequence[str], columns: int) -> None:
        self._tree = tree
        self.quantities = tuple(quantities)
        self._scores = {quantity: np.full((len(tree.stage_nodes(stage_of(quantity))), columns), np.nan)
                        for quantity in self.quantities}

    def put(self, unit: int, first_column: int, values: Mapping[str, np.ndarray]) -> None:
        """Enter a unit's scores, each ``(nodes that it owns, n)``, of the columns from ``first_column`` on."""
        for quantity, array in values.items():
            columns = slice(first_column, first_column + array.shape[1])
            self._scores[quantity][self._tree.owned(stage_of(quantity), unit), columns] = array

    def are_finite(self) -> bool:
        """Whether everything was entered and is finite."""
        return all(np.isfinite(scores).all() for scores in self._scores.values())

    def of(self, quantity: str, rows: np.ndarray | None = None) -> np.ndarray:
        """Scores ``(len(rows), C)`` of the archs in these rows of the tree; default all."""
        return self._scores[quantity][self._nodes(quantity, np.arange(len(self._tree)) if rows is None else rows)]

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
    return 4 * images * sum(_nodes_owned(tree, unit, quantity) for quantity in quantities)


def unpack_scores(payload: bytes, tree: ArchTree, unit: int, quantities: Sequence[str], images: int) -> dict[str, np.ndarray]:
    """What :func:`pack_scores` was given, of ``images`` images.

    Raises:
        ValueError: If the payload has another length.
    """
    values, arrays = np.frombuffer(payload, dtype='<f4'), {}
    for quantity in quantities:
        size = _nodes_owned(tree, unit, quantity) * images
        arrays[quantity], values = values[:size].reshape(-1, images), values[size:]
    if len(values):
        raise ValueError(f'unit {unit} has {len(values)} numbers too many')
    return arrays


def unpack_sums(payload: bytes, tree: ArchTree, unit: int, quantities: Sequence[str], images: int) -> dict[str, np.ndarray]:
    """The same, summed over the images: float64, a column each."""
    return {quantity: values.sum(axis=1, keepdims=True, dtype=np.float64)
            for quantity, values in unpack_scores(payload, tree, unit, quantities, images).items()}


def _nodes_owned(tree: ArchTree, unit: int, quantity: str) -> int:
    owned = tree.owned(stage_of(quantity), unit)
    return owned.stop - owned.start
