"""By which range the numbers of an image's channels become numbers from 0 to 255."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from gaia_ssl.errors import UserError

WHITE = 255.0
"""What ``high`` becomes; mean and std of a data preprocessor are on this scale, as for 8 bits a value."""


@dataclasses.dataclass(frozen=True)
class PixelRange:
    """One range a channel: ``low`` becomes 0 and ``high`` 255, and what lies outside is cut off.

    Images without one are 8 bits a value and three colours, whatever the file holds.

    Example:
        >>> PixelRange((0.0, ), (4095.0, )).scale(np.array([[[819], [5000]]])).tolist()
        [[[51.0], [255.0]]]
    """

    low: tuple[float, ...]
    high: tuple[float, ...]

    def __post_init__(self) -> None:
        bounds = (*self.low, *self.high)
        if not self.low or len(self.low) != len(self.high):
            raise UserError(f'a range of pixels has {len(self.low)} low and {len(self.high)} high bounds; give one of each a '
                            'channel')
        if not all(type(each) in (int, float) and math.isfinite(each) for each in bounds):
            raise UserError('the bounds of a range of pixels are finite numbers')
        for channel, (low, high) in enumerate(zip(self.low, self.high, strict=True)):
            if not low < high:
                raise UserError(f'the range of channel {channel} goes from {low:g} to {high:g}; give a low bound below the '
                                'high one')

    @classmethod
    def of(cls, settings: Mapping[str, Any] | None) -> PixelRange | None:
        """What :meth:`arguments` gave; None for None.

        Raises:
            UserError: If it is anything else.
        """
        if settings is None:
            return None
        low, high = (settings.get(name) if isinstance(settings, Mapping) else None for name in ('low', 'high'))
        if not isinstance(low, list | tuple) or not isinstance(high, list | tuple):
            raise UserError('a range of pixels has the lists low and high')
        return cls(tuple(low), tuple(high))

    @property
    def channels(self) -> int:
        """Of the images."""
        return len(self.low)

    def arguments(self) -> dict[str, list[float]]:
        """In plain values, for configs and checkpoints."""
        return dict(low=list(self.low), high=list(self.high))

    def scale(self, pixels: np.ndarray) -> np.ndarray:
        """``(…, channels)`` of any numbers to float32 from 0 to 255; what is not a number becomes 0."""
        low, high = (np.array(each, dtype=np.float32) for each in (self.low, self.high))
        scaled = (pixels.astype(np.float32) - low) * (WHITE / (high - low))
        return np.clip(np.nan_to_num(scaled, copy=False, nan=0.0), 0, WHITE, out=scaled)
