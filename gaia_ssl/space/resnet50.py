"""ResNet-50's shape at another cost: what a searched arch is compared with."""

from __future__ import annotations

from gaia_ssl.errors import UserError
from gaia_ssl.space.arch import Arch
from gaia_ssl.space.arch_space import ArchSpace

RESNET50 = Arch(64, (64, 128, 256, 512), (3, 4, 6, 3))
_DIVISOR = 8


def same_cost_resnet50(arch: Arch, space: ArchSpace, resolution: int = 224, stem_kernel: int = 7, in_channels: int = 3) -> Arch:
    """ResNet-50 with all its widths scaled alike, as near to the FLOPs of ``arch`` as the supernet has weights for.

    Widths are multiples of 8. Depths are ResNet-50's, and both they and the stem no larger than the supernet's, so an arch
    that costs more than the widest such net is not met. It need not lie on the space's grid.

    Args:
        arch: Whose cost to meet.
        space: Of the supernet.
        resolution: Side of the images in pixels.
        stem_kernel: 7 or 3.
        in_channels: Of the images.

    Raises:
        UserError: If even the narrowest is wider than the supernet.

    Example:
        >>> from gaia_ssl import DATA_SPACE
        >>> str(same_cost_resnet50(Arch.parse('32-48x3-96x2-192x17-512x3'), DATA_SPACE))
        '64-64x3-120x4-240x6-480x3'
    """
    largest = space.max
    depths = tuple(min(pair) for pair in zip(RESNET50.depths, largest.depths, strict=True))
    # A step of the widest stage is 8 channels; in such steps, the narrower ones do not change by more than that either.
    steps = range(1, largest.widths[3] // _DIVISOR + 1)
    scales = [step * _DIVISOR / RESNET50.widths[3] for step in steps]
    candidates = [Arch(min(_scaled(RESNET50.stem, scale), largest.stem),
                       tuple(_scaled(width, scale) for width in RESNET50.widths), depths)
                  for scale in scales]
    fitting = [candidate for candidate in candidates if candidate.fits_in(largest)]
    if not fitting:
        raise UserError(f'the supernet ({largest}) is narrower than any ResNet-50 of widths in steps of {_DIVISOR}')
    cost = resolution, stem_kernel, in_channels
    return min(fitting, key=lambda candidate: abs(candidate.flops(*cost) - arch.flops(*cost)))


def _scaled(width: int, scale: float) -> int:
    return max(_DIVISOR, int(width * scale / _DIVISOR + 0.5) * _DIVISOR)
