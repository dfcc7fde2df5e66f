"""Archs with what they scored."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np

from gaia_ssl.search.selection import Selection


@dataclasses.dataclass(frozen=True)
class Scored:
    """Archs that were all scored on the same image batches.

    Attributes:
        selection: The archs, R of them.
        sums: Quantity -> sum over the images of each batch, ``(R, B)``.
        sizes: Images of each batch, ``(B,)``.
    """

    selection: Selection
    sums: Mapping[str, np.ndarray]
    sizes: np.ndarray

    def take(self, rows: np.ndarray) -> Scored:
        """Those in these rows, which ascend."""
        return Scored(self.selection.take(rows), {name: values[rows] for name, values in self.sums.items()}, self.sizes)

    def join(self, other: Scored) -> Scored:
        """With the batches of ``other``, which has the same archs."""
        return Scored(self.selection, {name: np.concatenate([values, other.sums[name]], axis=1)
                                       for name, values in self.sums.items()}, np.concatenate([self.sizes, other.sizes]))
