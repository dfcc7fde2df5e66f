"""Archs as a tree: what two of them share from the stem on is there once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gaia_ssl.space import cost
from gaia_ssl.space.arch import Arch

UNIT_LEVEL = 6
"""A unit of work is a subtree of archs that agree in stem, width 1, depth 1, width 2, depth 2 and width 3."""


class ArchTree:
    """The tree of some archs by the order of computation: stem, width 1, depth 1, …, width 4, depth 4.

    A depth is a prefix of a deeper chain of the same width, so siblings by depth share their chain as well.

    Args:
        archs: In any order, on a space's grid or not, possibly repeated.

    Attributes:
        numbers: ``(R, 9)``, the distinct archs in the order of the tree; a row is a leaf, a subtree a range of rows.
        rows: ``(len(archs),)``, each given arch's row.
        starts: For each level 0 to 9, the first row of each subtree of archs that agree in so many numbers.
    """

    def __init__(self, archs: Sequence[Arch]) -> None:
        numbers = np.array([arch.numbers for arch in archs], dtype=np.int64).reshape(-1, 9)
        self.numbers, rows = np.unique(numbers, axis=0, return_inverse=True)
        self.rows = rows.reshape(-1)
        changes = np.diff(self.numbers, axis=0, prepend=0) != 0
        self.starts = [np.flatnonzero(changes[:, :level].any(axis=1)) if level else np.zeros(1, dtype=np.int64)
                       for level in range(10)]

    def __len__(self) -> int:
        """Distinct archs."""
        return len(self.numbers)

    @property
    def num_units(self) -> int:
        """Units of work, each a subtree below :data:`UNIT_LEVEL`."""
        return len(self.starts[UNIT_LEVEL])

    def unit_rows(self, unit: int) -> tuple[int, int]:
        """The range of rows of a unit."""
        starts = self.starts[UNIT_LEVEL]
        return int(starts[unit]), int(starts[unit + 1]) if unit + 1 < len(starts) else len(self)

    def unit_sizes(self) -> np.ndarray:
        """Archs in each unit, ``(num_units,)``."""
        return np.diff([*self.starts[UNIT_LEVEL], len(self)])

    def stage_nodes(self, stage: int) -> np.ndarray:
        """The first row of each distinct output of ``stage`` (0 to 3)."""
        return self.starts[3 + 2 * stage]

    def owned(self, stage: int, unit: int) -> slice:
        """The nodes of ``stage`` that a unit scores: those whose first row is its own. Each node has one owner."""
        return slice(*np.searchsorted(self.stage_nodes(stage), self.unit_rows(unit)))

    def subtrees(self, level: int, start: int, stop: int) -> list[tuple[int, int]]:
        """The ranges of rows into which ``start:stop``, whole subtrees themselves, fall at ``level``."""
        starts = self.starts[level]
        first, last = np.searchsorted(starts, (start, stop))
        bounds = [*starts[first:last].tolist(), stop]
        return list(zip(bounds, bounds[1:], strict=False))

    def macs(self, resolution: int | tuple[int, int] = 224, stem_kernel: int = 7, in_channels: int = 3) -> np.ndarray:
        """Multiply-adds of the walk for one image, by unit ``(num_units,)``: each stem and each block of a chain once."""
        units = np.zeros(self.num_units)

        def add(rows: np.ndarray, macs: np.ndarray) -> None:
            np.add.at(units, np.searchsorted(self.starts[UNIT_LEVEL], rows, side='right') - 1, macs)

        def stages(rows: np.ndarray, depth: int) -> list[np.ndarray]:
            stem, widths = self.numbers[rows, 0], list(self.numbers[rows, 1::2].T)
            return cost.flops_per_stage(stem, widths, [depth] * 4, resolution, stem_kernel, in_channels)

        add(self.starts[1], stages(self.starts[1], 1)[0])
        for stage in range(4):
            rows = self.stage_nodes(stage)
            depths = self.numbers[rows, 2 + 2 * stage]
            begins_chain = np.isin(rows, self.starts[2 + 2 * stage])
            new_blocks = depths - np.where(begins_chain, 0, np.roll(depths, 1))
            first, two = stages(rows, 1)[stage + 1], stages(rows, 2)[stage + 1]
            add(rows, new_blocks * (two - first) + begins_chain * (2 * first - two))
        return units
