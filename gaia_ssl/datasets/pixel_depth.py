"""Files that hold more than the usual pipelines, of 8 bits and three colours, read of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gaia_ssl.datasets.batches import evenly_spaced
from gaia_ssl.datasets.image_limits import too_large
from gaia_ssl.datasets.read_pixels import read_pixels

_DEEP = ('.pgm', '.png', '.ppm', '.tif', '.tiff')
"""Endings of formats that may have more than 8 bits a value, or more than three channels."""


def depth_warning(paths: Sequence[str], samples: int = 8) -> str:
    """What to say of images that lose their contents when they are read as 8 bits and three colours; empty if nothing.

    Args:
        paths: The files.
        samples: Look into so many, evenly spaced, of formats that may have more.
    """
    deep = [path for path in paths if path.lower().endswith(_DEEP)]
    for index in evenly_spaced(len(deep), samples) if deep else ():
        if (told := _lost(deep[index])):
            return f'{deep[index]}: {told}; gaia-ssl pixels measures the range that they use, and the other tools take it'
    return ''


def _lost(path: str) -> str:
    if too_large(path) or _is_jpeg(path):
        return ''
    try:
        pixels = read_pixels(path)
    except OSError:
        return ''
    if pixels.shape[2] > 4:
        return f'has {pixels.shape[2]} channels, which are no three colours'
    largest = float(pixels.max())
    if pixels.dtype == np.uint16 and largest < 2**13:
        return f'values of 16 bits that go up to {largest:.0f} of 65535 are read as nearly black'
    if pixels.dtype.kind == 'f' and largest > 2:
        return f'floating-point values that go up to {largest:g} are read as if 1 were white'
    return ''


def _is_jpeg(path: str) -> bool:
    """By its first bytes, whatever its name; its decoder has remarks of its own on stderr."""
    try:
        with open(path, 'rb') as file:
            return file.read(3) == b'\xff\xd8\xff'
    except OSError:
        return False
