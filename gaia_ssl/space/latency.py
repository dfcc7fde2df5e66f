"""Latency of any subnet as the sum of its blocks' measured milliseconds.

A block is known by a text: ``stem 32``; ``stage1 first 32->48``, the first block of a stage, from 32 input channels to
a width of 48; ``stage1 next 48``, every block after it.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from gaia_ssl.errors import UserError
from gaia_ssl.files import atomic_path, read_json
from gaia_ssl.space.arch import Arch
from gaia_ssl.space.arch_space import ArchSpace
from gaia_ssl.space.cost import EXPANSION

_FORMAT = 'gaia_ssl latency table 1'


def stem_block(width: int) -> str:
    """The stem's convolution, batch norm, ReLU and max-pool."""
    return f'stem {width}'


def first_block(stage: int, channels: int, width: int) -> str:
    """The first block of ``stage`` (1 to 4), from ``channels`` input channels."""
    return f'stage{stage} first {channels}->{width}'


def next_block(stage: int, width: int) -> str:
    """A later block of ``stage`` (1 to 4)."""
    return f'stage{stage} next {width}'


def blocks_of(arch: Arch) -> list[str]:
    """Every block of ``arch`` in the order in which they run, repeated ones repeated."""
    blocks, channels = [stem_block(arch.stem)], arch.stem
    for stage, (width, depth) in enumerate(zip(arch.widths, arch.depths, strict=True), start=1):
        blocks += [first_block(stage, channels, width)] + [next_block(stage, width)] * (depth - 1)
        channels = EXPANSION * width
    return blocks


def blocks_of_space(space: ArchSpace) -> list[str]:
    """The distinct blocks of which all archs of ``space`` consist; 51 for DATA_SPACE."""
    blocks = [stem_block(stem) for stem in space.stem]
    channels: Sequence[int] = space.stem
    for stage, (widths, depths) in enumerate(zip(space.widths, space.depths, strict=True), start=1):
        blocks += [first_block(stage, c, w) for c in channels for w in widths]
        blocks += [next_block(stage, w) for w in widths if depths[-1] > 1]
        channels = [EXPANSION * w for w in widths]
    return blocks


@dataclasses.dataclass(frozen=True)
class LatencyTable:
    """Milliseconds of each distinct block on one device under one set of conditions.

    Args:
        milliseconds: Block -> milliseconds for a whole batch, positive.
        provenance: Plain values that say how they were measured; ``space`` (as :meth:`ArchSpace.to_dict`) and
            ``stem_kernel`` at least.

    Raises:
        UserError: If a time is not a positive number, or the provenance lacks the space or the stem.

    Example:
        >>> space = ArchSpace(stem=[8], widths=[[8]] * 4, depths=[[1], [1, 2], [1], [1]])
        >>> table = LatencyTable({block: 0.5 for block in blocks_of_space(space)},
        ...                      dict(space=space.to_dict(), stem_kernel=7))
        >>> table.of(space.max), table.of_space(space).tolist()
        (3.0, [2.5, 3.0])
    """

    milliseconds: dict[str, float]
    provenance: dict[str, Any]

    def __post_init__(self) -> None:
        for block, time in self.milliseconds.items():
            if isinstance(time, bool) or not isinstance(time, int | float) or not 0 < time < math.inf:
                raise UserError(f"the latency table says '{time}' ms for the block '{block}'; measure it again")
        try:
            self.space, self.stem_kernel  # noqa: B018
        except (KeyError, TypeError, UserError) as error:
            raise UserError('the latency table does not say for which space and stem_kernel it was measured '
                            f'({type(error).__name__}: {error}); measure it again') from error

    @property
    def space(self) -> ArchSpace:
        """The space that was measured."""
        return ArchSpace(**self.provenance['space'])

    @property
    def stem_kernel(self) -> int:
        """The stem's kernel: 7 or 3."""
        return self.provenance['stem_kernel']

    @classmethod
    def load(cls, path: str | os.PathLike) -> LatencyTable:
        """Read what :meth:`save` wrote.

        Raises:
            UserError: If the file is missing, no latency table, or of another version's format.
        """
        path = pathlib.Path(path)
        if not path.is_file():
            raise UserError(f'{path}: no such latency table; measure one with tools/measure_latency.py')
        content = read_json(path, 'a latency table', 'measure one with tools/measure_latency.py')
        found = content.get('format')
        if found != _FORMAT:
            raise UserError(f"{path}: its format is '{found}', not '{_FORMAT}'; measure it again with "
                            'tools/measure_latency.py')
        milliseconds, provenance = (content.get(name) for name in ('milliseconds', 'provenance'))
        if not isinstance(milliseconds, dict) or not isinstance(provenance, dict):
            raise UserError(f'{path}: its milliseconds or its provenance are missing; measure it again')
        try:
            return cls(milliseconds, provenance)
        except UserError as error:
            raise UserError(f'{path}: {error}') from error

    def save(self, path: str | os.PathLike) -> None:
        """Write the table to ``path`` as JSON, atomically."""
        content = dict(format=_FORMAT, provenance=self.provenance, milliseconds=self.milliseconds)
        text = json.dumps(content, indent=2, allow_nan=False)
        with atomic_path(path) as temporary:
            temporary.write_text(text + '\n', encoding='utf-8')

    def of(self, arch: Arch) -> float:
        """Milliseconds of ``arch`` for a whole batch.

        Raises:
            UserError: If a block of it was not measured.
        """
        self._check_measured(str(arch), blocks_of(arch))
        return math.fsum(self.milliseconds[block] for block in blocks_of(arch))

    def of_space(self, space: ArchSpace, stem_kernel: int | None = None) -> np.ndarray:
        """Milliseconds of every arch of ``space`` in the order of its index, ``(len(space),)`` float64.

        Args:
            space: The table's own space, or any other whose blocks were all measured.
            stem_kernel: The supernet's; refused unless it is the table's. None leaves it unchecked.

        Raises:
            UserError: If the table does not cover the space.
        """
        self.check_covers(space, stem_kernel)
        total = self._axis([self.milliseconds[stem_block(stem)] for stem in space.stem], 0)
        channels: Sequence[int] = space.stem
        for stage, (widths, depths) in enumerate(zip(space.widths, space.depths, strict=True), start=1):
            before = max(2 * stage - 3, 0)  # axes: stem, width1, depth1, width2, …
            pairs = np.array([[self.milliseconds[first_block(stage, c, w)] for w in widths] for c in channels])
            shape = [1] * 9
            shape[before], shape[2 * stage - 1] = pairs.shape
            later = self._axis([self.milliseconds.get(next_block(stage, w), 0.0) for w in widths], 2 * stage - 1)
            total = total + (pairs.reshape(shape) + self._axis([depth - 1 for depth in depths], 2 * stage) * later)
            channels = [EXPANSION * w for w in widths]
        return total.reshape(-1)

    def check_covers(self, space: ArchSpace, stem_kernel: int | None = None) -> None:
        """Raise a UserError unless every block of ``space`` was measured, and with ``stem_kernel`` if one is given."""
        if stem_kernel is not None:
            self.check_stem(stem_kernel)
        self._check_measured(f'the space {space.min} … {space.max}', blocks_of_space(space))

    def check_stem(self, stem_kernel: int) -> None:
        """Raise a UserError unless the table was measured with ``stem_kernel``."""
        if stem_kernel != self.stem_kernel:
            raise UserError(f'the latency table was measured with stem_kernel={self.stem_kernel}, the supernet has '
                            f'stem_kernel={stem_kernel}; measure one for it with tools/measure_latency.py')

    def _check_measured(self, what: str, blocks: list[str]) -> None:
        missing = [block for block in dict.fromkeys(blocks) if block not in self.milliseconds]
        if missing:
            listed = ', '.join(f"'{block}'" for block in missing[:3]) + (', …' if len(missing) > 3 else '')
            raise UserError(f'the latency table was measured for the space {self.space.min} … {self.space.max} and lacks '
                            f'{len(missing)} of the blocks of {what}: {listed}; measure one for that space with '
                            'tools/measure_latency.py')

    @staticmethod
    def _axis(values: list[float], axis: int) -> np.ndarray:
        return np.array(values, dtype=np.float64).reshape([-1 if i == axis else 1 for i in range(9)])
