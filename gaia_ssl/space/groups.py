"""Budget groups: intervals of FLOPs, 1 G wide in the paper."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from gaia_ssl.errors import UserError


@dataclasses.dataclass(frozen=True)
class FlopsGroups:
    """Half-open intervals ``[edges[i], edges[i + 1])`` of multiply-adds.

    Args:
        edges: Ascending bounds in multiply-adds; the paper's groups are ``1e9, 2e9, …, 8e9``.

    Raises:
        UserError: If there are fewer than two edges or they do not ascend.

    Example:
        >>> FlopsGroups.paper().names
        ('1-2G', '2-3G', '3-4G', '4-5G', '5-6G', '6-7G', '7-8G')
    """

    edges: tuple[float, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, 'edges', tuple(float(edge) for edge in self.edges))
        if len(self.edges) < 2 or any(a >= b for a, b in zip(self.edges, self.edges[1:], strict=False)):
            raise UserError(f'group edges are {list(self.edges)}; give two or more ascending numbers of multiply-adds')

    @classmethod
    def paper(cls) -> FlopsGroups:
        """The seven groups of the paper, 1-2G to 7-8G."""
        return cls(tuple(i * 1e9 for i in range(1, 9)))

    @classmethod
    def of(cls, flops: np.ndarray) -> FlopsGroups:
        """The paper's groups as far as there are archs; five intervals over all instead where these spread over two or less."""
        low, high = np.min(flops), np.max(flops)
        top = int(high // 1e9) + 1
        whole = range(int(low // 1e9), (min(top, 8) if low < 8e9 else top) + 1)
        if len(whole) > 3 or high < 1.05 * low:
            return cls(tuple(i * 1e9 for i in whole))
        unit = 10.0 ** (np.floor(np.log10(max(high - low, 100))) - 1)
        first, last = np.floor(low / unit), np.floor(high / unit) + 1
        return cls(tuple(np.unique(np.round(np.linspace(first, last, 6))) * unit))

    @property
    def names(self) -> tuple[str, ...]:
        """A name for each group, e.g. ``3-4G`` (or ``150-300M`` where an edge is no multiple of 0.1 G)."""
        unit, letter = (1e9, 'G') if all(edge % 1e8 == 0 for edge in self.edges) else (1e6, 'M')
        bounds = [f'{edge / unit:g}' for edge in self.edges]
        return tuple(f'{low}-{high}{letter}' for low, high in zip(bounds, bounds[1:], strict=False))

    def assign(self, flops: np.ndarray | Sequence[float]) -> np.ndarray:
        """The group's position for each number of multiply-adds; -1 outside all groups. Shape as ``flops``."""
        position = np.searchsorted(self.edges, flops, side='right') - 1
        return np.where(position < len(self.names), position, -1)
