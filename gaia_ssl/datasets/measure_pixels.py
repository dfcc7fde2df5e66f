"""The range, mean and standard deviation of a folder's images, measured in one pass over a sample of them."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from gaia_ssl.datasets.batches import evenly_spaced
from gaia_ssl.datasets.read_pixels import read_pixels
from gaia_ssl.datasets.unreadable import UnreadableImages
from gaia_ssl.errors import UserError
from gaia_ssl.files import atomic_path, read_json
from gaia_ssl.pixel_range import WHITE, PixelRange
from gaia_ssl.progress import Progress
from gaia_ssl.terminal import say

PERCENTILES = (0.1, 99.9)
"""Of the values, which become 0 and 255 where nothing else is asked for and the values have more than 8 bits."""
PIXELS_AN_IMAGE = 4096


@dataclasses.dataclass(frozen=True)
class Pixels:
    """How images are normalised.

    Attributes:
        range: Of each channel.
        mean, std: Of each channel, of numbers that the range has scaled.
    """

    range: PixelRange
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __post_init__(self) -> None:
        for name in ('mean', 'std'):
            numbers = getattr(self, name)
            if len(numbers) != self.range.channels or not all(type(each) in (int, float) for each in numbers):
                raise UserError(f'{name} has to have {self.range.channels} numbers, one a channel')
        if not all(each > 0 for each in self.std):
            channel = next(index for index, each in enumerate(self.std) if not each > 0)
            raise UserError(f'channel {channel} has the standard deviation {self.std[channel]:g}, and what does not vary '
                            'cannot be normalised; leave the channel out of the files, or give another range')

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Pixels:
        """What a file of :meth:`write`, or a checkpoint with a ``pixel_range``, says.

        Raises:
            UserError: If something is missing or no number.
        """
        mean, std = (settings.get(name) for name in ('mean', 'std'))
        pixel_range = PixelRange.of(settings.get('pixel_range'))
        if pixel_range is None or not isinstance(mean, list | tuple) or not isinstance(std, list | tuple):
            raise UserError('it has to hold pixel_range, mean and std')
        return cls(pixel_range, tuple(mean), tuple(std))

    @classmethod
    def read(cls, path: str | os.PathLike) -> Pixels:
        """A file of :meth:`write`.

        Raises:
            UserError: If it is none.
        """
        settings = read_json(path, 'a range of pixels', 'gaia-ssl pixels writes such a file')
        try:
            return cls.of(settings)
        except UserError as error:
            raise UserError(f'{path}: {error}; gaia-ssl pixels writes such a file') from error

    def write(self, path: str | os.PathLike) -> None:
        """Write it as JSON, whole or not at all."""
        content = dict(pixel_range=self.range.arguments(), mean=list(self.mean), std=list(self.std))
        with atomic_path(path) as temporary:
            temporary.write_text(json.dumps(content, indent=1) + '\n', encoding='utf-8')


@dataclasses.dataclass(frozen=True)
class Measured:
    """What :func:`measure_pixels` found.

    Attributes:
        pixels: How to normalise.
        smallest, largest: Value of each channel in the sample.
        dtypes: Of the files, e.g. ``('uint16', )``.
        images: How many were looked at.
    """

    pixels: Pixels
    smallest: tuple[float, ...]
    largest: tuple[float, ...]
    dtypes: tuple[str, ...]
    images: int


def measure_pixels(paths: Sequence[str], max_images: int | None = 200, bounds: Sequence[float] | None = None,
                   percentiles: Sequence[float] | None = None, max_unreadable: float = 0.01,
                   report: Callable[[str], None] = say) -> Measured:
    """Read images, evenly spaced over ``paths``, and of each :data:`PIXELS_AN_IMAGE` pixels, evenly spaced, too.

    Args:
        paths: The files.
        max_images: So many; None takes all.
        bounds: The range of all channels; what lies outside is cut off.
        percentiles: In place of that, of each channel's values. By default the range is that of 8 bits where all files have
            these, and else :data:`PERCENTILES`.
        max_unreadable: The share of unreadable images to accept.
        report: Told of the progress and of unreadable images.

    Raises:
        UserError: If images differ in their number of channels, too many are unreadable, or a channel does not vary.
    """
    if bounds is not None and percentiles is not None:
        raise UserError('--range and --percentiles both say what becomes black and white; give one of them')
    if percentiles is not None and not 0 <= percentiles[0] < percentiles[1] <= 100:
        raise UserError(f'--percentiles is {percentiles[0]:g} {percentiles[1]:g}; give two of 0 to 100, the smaller one first')
    chosen = [paths[index] for index in evenly_spaced(len(paths), max_images)]
    values, dtypes = _sample(chosen, max_unreadable, report)
    counted = values[np.isfinite(values).all(axis=1)]
    if not len(counted):
        raise UserError(f'{chosen[0]}: no pixel of it, nor of the others, is a finite number in all channels')
    channels = values.shape[1]
    if bounds is None and percentiles is None and dtypes == {'uint8'}:
        bounds = (0.0, WHITE)
    if bounds is None:
        low, high = np.percentile(counted, percentiles or PERCENTILES, axis=0)
    else:
        low, high = (np.full(channels, each) for each in bounds)
    if (flat := np.flatnonzero(~(low < high))).size:
        raise UserError(f'channel {flat[0]} of {channels} does not vary: its values go from {low[flat[0]]:g} to '
                        f'{high[flat[0]]:g}; leave it out of the files, or give --range')
    pixel_range = PixelRange(tuple(low.tolist()), tuple(high.tolist()))
    scaled = pixel_range.scale(counted).astype(np.float64)
    pixels = Pixels(pixel_range, tuple(scaled.mean(axis=0).tolist()), tuple(scaled.std(axis=0).tolist()))
    return Measured(pixels, tuple(counted.min(axis=0).tolist()), tuple(counted.max(axis=0).tolist()), tuple(sorted(dtypes)),
                    len(chosen))


def _sample(paths: Sequence[str], max_unreadable: float, report: Callable[[str], None]) -> tuple[np.ndarray, set[str]]:
    """Values ``(pixels, channels)`` of all images together, and the types that they had."""
    unreadable = UnreadableImages(max_unreadable, total=len(paths))
    progress = Progress(len(paths), 'images', report)
    samples: list[np.ndarray] = []
    dtypes, first = set(), ''
    for path in paths:
        try:
            pixels = read_pixels(path, samples[0].shape[1] if samples else None)
        except OSError as error:
            report(f'unreadable image, skipped: {error}')
            unreadable.update([path])
            continue
        values = pixels.reshape(-1, pixels.shape[2])
        if samples and values.shape[1] != samples[0].shape[1]:
            raise UserError(f'{path}: has {values.shape[1]} channels, {first} {samples[0].shape[1]}; sort such images into '
                            'folders of their own, or leave them out with --exclude')
        first = first or path
        samples.append(values[evenly_spaced(len(values), PIXELS_AN_IMAGE)].astype(np.float64))
        dtypes.add(pixels.dtype.name)
        progress.advance()
    if not samples:
        raise UserError(unreadable.summary())
    return np.concatenate(samples), dtypes
