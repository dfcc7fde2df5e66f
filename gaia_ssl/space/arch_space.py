"""The search space: the product of the choices of each dimension."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence

import numpy as np

from gaia_ssl.errors import UserError
from gaia_ssl.space import cost
from gaia_ssl.space.arch import Arch, check_positive_integer

COLUMNS = ('stem', 'width1', 'depth1', 'width2', 'depth2', 'width3', 'depth3', 'width4', 'depth4')
"""The dimensions in the order of the index: the last one runs fastest, so a prefix of an arch is a range of indices."""


AUTO = 'auto'
"""In a config, the space inside the pretrained network that the supernet starts from."""


@dataclasses.dataclass(frozen=True)
class ArchSpace:
    """All archs whose every dimension is one of the given choices.

    Args:
        stem: Choices of the stem's width, ascending.
        widths: For each of the four stages, the choices of its width, ascending.
        depths: For each of the four stages, the choices of its depth, ascending.

    Raises:
        UserError: If a dimension has no choice, is not strictly ascending, or there are not four stages.

    Example:
        >>> space = ArchSpace(stem=[32, 64], widths=[[64], [128], [256], [512]], depths=[[2, 3], [4], [6], [3]])
        >>> len(space), str(space[3])
        (4, '64-64x3-128x4-256x6-512x3')
    """

    stem: tuple[int, ...]
    widths: tuple[tuple[int, ...], ...]
    depths: tuple[tuple[int, ...], ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, 'stem', tuple(self.stem))
        for name in ('widths', 'depths'):
            stages = tuple(tuple(stage) for stage in getattr(self, name))
            if len(stages) != 4:
                raise UserError(f'{name} of the space lists {len(stages)} stages; give the choices of 4 stages')
            object.__setattr__(self, name, stages)
        for name, choices in zip(COLUMNS, self.choices, strict=True):
            if not choices:
                raise UserError(f'the space offers no {name}; give at least one choice')
            for number in choices:
                check_positive_integer(number)
            if any(a >= b for a, b in zip(choices, choices[1:], strict=False)):
                raise UserError(f'{name} of the space is {list(choices)}; list the choices in ascending order, each once')

    @classmethod
    def inside(cls, arch: Arch | str, shares: Sequence[float] = (0.5, 0.75, 1.0)) -> ArchSpace:
        """The space whose max is ``arch``, and whose choices are ``shares`` of each of its numbers.

        Widths and the stem are rounded to multiples of 8 (of 4 where ``arch`` has less than 32), depths down; choices that fall
        together are one. The same arch always gives the same space.

        Args:
            arch: E.g. that of a pretrained network.
            shares: In (0, 1], ascending; 1 is added if it is missing.

        Raises:
            UserError: If a share lies outside (0, 1].

        Example:
            >>> space = ArchSpace.inside('64-64x3-128x4-256x6-512x3')
            >>> space.stem, space.widths[3], space.depths, len(space)
            ((32, 48, 64), (256, 384, 512), ((1, 2, 3), (2, 3, 4), (3, 4, 6), (1, 2, 3)), 19683)
        """
        arch = Arch.parse(arch)
        if not all(0 < share <= 1 for share in shares):
            raise UserError(f'shares are {list(shares)}; give numbers above 0 and up to 1')

        def widths(width: int) -> tuple[int, ...]:
            step = 8 if width >= 32 else 4
            rounded = {int(share * width / step + 0.5) * step for share in shares}
            return (*sorted(choice for choice in rounded if 0 < choice < width), width)

        def depths(depth: int) -> tuple[int, ...]:
            return tuple(sorted({max(1, int(share * depth)) for share in (*shares, 1)}))

        return cls(widths(arch.stem), tuple(map(widths, arch.widths)), tuple(map(depths, arch.depths)))

    @classmethod
    def read(cls, value: ArchSpace | dict | str) -> ArchSpace:
        """A space as configs write it: the choices of :meth:`to_dict`, or the text of an arch, for the space inside it.

        Raises:
            UserError: If it is neither.
        """
        if isinstance(value, ArchSpace):
            return value
        if value == AUTO:
            raise UserError("the space is 'auto', that inside a pretrained network, and there is none; say --start FILE, or "
                            'model.backbone.space=ARCH for that inside an arch')
        if isinstance(value, str):
            return cls.inside(value)
        try:
            return cls(**dict(value))
        except (TypeError, ValueError) as error:
            raise UserError(f'the space is {value}; give stem, widths and depths, or the text of an arch') from error

    @property
    def choices(self) -> tuple[tuple[int, ...], ...]:
        """The choices of each dimension, in the order of :data:`COLUMNS`."""
        stages = [choices for pair in zip(self.widths, self.depths, strict=True) for choices in pair]
        return (self.stem, *stages)

    @property
    def max(self) -> Arch:
        """The largest arch: the teacher's, and what the supernet holds weights for."""
        return Arch.from_numbers([choices[-1] for choices in self.choices])

    @property
    def min(self) -> Arch:
        """The smallest arch."""
        return Arch.from_numbers([choices[0] for choices in self.choices])

    def __len__(self) -> int:
        return math.prod(len(choices) for choices in self.choices)

    def __getitem__(self, index: int) -> Arch:
        if not -len(self) <= index < len(self):
            raise IndexError(f'index {index} is outside the space of {len(self)} archs')
        digits = np.unravel_index(int(index) % len(self), [len(choices) for choices in self.choices])
        return Arch.from_numbers([choices[digit] for choices, digit in zip(self.choices, digits, strict=True)])

    def __iter__(self) -> Iterator[Arch]:
        return (self[index] for index in range(len(self)))

    def __contains__(self, arch: object) -> bool:
        return isinstance(arch, Arch) and all(n in c for n, c in zip(arch.numbers, self.choices, strict=True))

    def index(self, arch: Arch) -> int:
        """The position of ``arch``, so that ``space[space.index(arch)] == arch``.

        Raises:
            UserError: If ``arch`` is not in the space.
        """
        if arch not in self:
            raise UserError(f'{arch} is not one of the {len(self)} archs of the space {self.min} … {self.max}')
        digits = [choices.index(n) for n, choices in zip(arch.numbers, self.choices, strict=True)]
        return int(np.ravel_multi_index(digits, [len(choices) for choices in self.choices]))

    def sample(self, num: int, rng: np.random.Generator) -> list[Arch]:
        """Draw ``num`` archs uniformly, with replacement."""
        return [self[index] for index in rng.integers(len(self), size=num)]

    def upper(self, share: float) -> ArchSpace:
        """The space of the largest choices: of each dimension this share, rounded up.

        Args:
            share: In (0, 1].

        Raises:
            UserError: If it is not.

        Example:
            >>> DATA_SPACE.upper(1 / 3).min == DATA_SPACE.max, DATA_SPACE.upper(0.5).stem
            (False, (48, 64))
        """
        if not 0 < share <= 1:
            raise UserError(f'the share of the choices is {share}; give a number above 0 and up to 1')

        def largest(choices: tuple[int, ...]) -> tuple[int, ...]:
            return choices[-max(1, math.ceil(share * len(choices) - 1e-9)):]  # 3 * (2 / 3) may be a little above 2

        return ArchSpace(largest(self.stem), tuple(map(largest, self.widths)), tuple(map(largest, self.depths)))

    def check_fits(self, arch: Arch) -> None:
        """Raise a UserError if the supernet of this space has no weights for ``arch`` (which may be off the grid)."""
        if not arch.fits_in(self.max):
            raise UserError(f'{arch} is larger than the supernet ({self.max}) in some dimension; choose a smaller one')

    def costs(self, resolution: int | tuple[int, int] = 224, stem_kernel: int = 7, in_channels: int = 3) -> np.ndarray:
        """Cost of every arch, in the order of the index.

        Args:
            resolution: Side of the image in pixels, or ``(height, width)``.
            stem_kernel: 7 (stride 2, then max-pool) or 3 (stride 1, no pool, for small images).
            in_channels: Of the image.

        Returns:
            A structured array of ``len(self)`` rows with the fields :data:`COLUMNS`,
            ``flops`` (multiply-adds of the convolutions) and ``params`` (with batch norm, without fc), as
            :meth:`Arch.flops` and :meth:`Arch.params` count them. ``pandas.DataFrame(space.costs())`` is a table of it.
        """
        grid = np.meshgrid(*(np.array(choices, dtype=np.int64) for choices in self.choices), indexing='ij', sparse=True)
        stem, widths, depths = grid[0], grid[1::2], grid[2::2]
        shape = tuple(len(choices) for choices in self.choices)
        table = np.empty(shape, dtype=[(name, np.int64) for name in (*COLUMNS, 'flops', 'params')])
        for name, column in zip(COLUMNS, grid, strict=True):
            table[name] = column
        table['flops'] = sum(cost.flops_per_stage(stem, widths, depths, resolution, stem_kernel, in_channels))
        table['params'] = sum(cost.params_per_stage(stem, widths, depths, stem_kernel, in_channels=in_channels))
        return table.reshape(-1)

    def to_dict(self) -> dict:
        """Plain lists, as a config holds them; ``ArchSpace(**space.to_dict()) == space``."""
        return dict(stem=list(self.stem), widths=[list(c) for c in self.widths], depths=[list(c) for c in self.depths])



DATA_SPACE = ArchSpace(
    stem=(32, 48, 64),
    widths=((48, 64, 80), (96, 128, 160), (192, 256, 320), (384, 512, 640)),
    depths=((2, 3, 4), (2, 4, 6), tuple(range(5, 30, 2)), (2, 3, 4)),
)
"""The space of the paper's Table 1: 85,293 archs of 1.67 to 15.51 G multiply-adds."""
