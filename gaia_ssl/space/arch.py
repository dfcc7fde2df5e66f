"""One architecture: an immutable value with one text form."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence

from gaia_ssl.errors import UserError
from gaia_ssl.space import cost

_TEXT = re.compile(r'(\d{1,9})' + r'-(\d{1,9})x(\d{1,9})' * 4)


@dataclasses.dataclass(frozen=True, order=True)
class Arch:
    """A bottleneck ResNet of four stages.

    Attributes:
        stem: Output channels of the first convolution.
        widths: Channels of each stage's 3x3 convolutions; stage ``s`` puts out ``4 * widths[s]`` channels.
        depths: Bottleneck blocks of each stage.

    Raises:
        UserError: If a number is not a positive integer, or there are not four stages.

    Example:
        >>> arch = Arch.parse('64-64x3-128x4-256x6-512x3')  # ResNet-50
        >>> arch.depths, round(arch.flops() / 1e9, 2)
        ((3, 4, 6, 3), 4.09)
    """

    stem: int
    widths: tuple[int, ...]
    depths: tuple[int, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, 'widths', tuple(self.widths))
        object.__setattr__(self, 'depths', tuple(self.depths))
        if len(self.widths) != 4 or len(self.depths) != 4:
            raise UserError(f'an arch has 4 widths and 4 depths, not {len(self.widths)} and {len(self.depths)}')
        for number in (self.stem, *self.widths, *self.depths):
            check_positive_integer(number)

    @classmethod
    def parse(cls, text: str | Arch) -> Arch:
        """Read the text form, e.g. ``32-48x3-96x2-192x17-512x3``: stem, then width x depth a stage.

        Raises:
            UserError: If ``text`` does not have that form.
        """
        if isinstance(text, Arch):
            return text
        match = _TEXT.fullmatch(text.strip()) if isinstance(text, str) else None
        if match is None:
            raise UserError(f"'{text}' is not an arch; write stem-WxD-WxD-WxD-WxD, e.g. 32-48x3-96x2-192x17-512x3")
        return cls.from_numbers([int(number) for number in match.groups()])

    def __str__(self) -> str:
        return '-'.join([str(self.stem), *(f'{w}x{d}' for w, d in zip(self.widths, self.depths, strict=True))])

    @classmethod
    def from_numbers(cls, numbers: Sequence[int]) -> Arch:
        """The inverse of :attr:`numbers`."""
        stem, *stages = map(int, numbers)
        return cls(stem, tuple(stages[0::2]), tuple(stages[1::2]))

    @property
    def numbers(self) -> tuple[int, ...]:
        """Stem, then width and depth a stage: the order of the text, and of computation."""
        return (self.stem, *(n for pair in zip(self.widths, self.depths, strict=True) for n in pair))

    @property
    def out_channels(self) -> tuple[int, ...]:
        """Channels of C2, C3, C4 and C5."""
        return tuple(cost.EXPANSION * width for width in self.widths)

    def fits_in(self, other: Arch) -> bool:
        """Whether no dimension exceeds that of ``other``, i.e. ``other``'s weights contain this arch's."""
        mine = (self.stem, *self.widths, *self.depths)
        theirs = (other.stem, *other.widths, *other.depths)
        return all(a <= b for a, b in zip(mine, theirs, strict=True))

    def flops(self, resolution: int | tuple[int, int] = 224, stem_kernel: int = 7, in_channels: int = 3) -> int:
        """Multiply-adds of the backbone's convolutions for one image (no fc, no batch norm).

        Args:
            resolution: Side of the image in pixels, or ``(height, width)``.
            stem_kernel: 7 (stride 2, then max-pool) or 3 (stride 1, no pool, for small images).
            in_channels: Of the image.
        """
        per_stage = cost.flops_per_stage(self.stem, self.widths, self.depths, resolution, stem_kernel, in_channels)
        return int(sum(per_stage))

    def params(self, stem_kernel: int = 7, norm: bool = True, in_channels: int = 3) -> int:
        """Parameters of the backbone, without fc.

        Args:
            stem_kernel: As in :meth:`flops`.
            norm: Count batch norm's weight and bias too, as ``sum(p.numel())`` does. The paper's tables leave them out.
            in_channels: As in :meth:`flops`.
        """
        return int(sum(cost.params_per_stage(self.stem, self.widths, self.depths, stem_kernel, norm, in_channels)))


def check_positive_integer(number: object) -> None:
    """Raise a UserError unless ``number``, a dimension of an arch or a choice of one, is a positive integer."""
    if isinstance(number, bool) or not isinstance(number, int) or number < 1:
        raise UserError(f"an arch is made of positive integers, and '{number}' is none")
