"""Files that decode to far more than they are worth, or to almost nothing."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import cv2
import numpy as np
from PIL import Image, UnidentifiedImageError

from gaia_ssl.datasets.batches import evenly_spaced

MAX_PIXELS = 178_956_970
"""Of an image, about 13,000 x 13,000: half a gigabyte once it is decoded. It is Pillow's own bound."""
MAX_RATIO = 200
"""Of an image's sides. Resized by the short one, what is longer would fill the memory."""
_DEEP = ('.pgm', '.png', '.ppm', '.tif', '.tiff')
"""Endings of formats that may have more than 8 bits a value."""


def too_large(path: str) -> str:
    """How large the image in the file ``path`` is, if that is beyond the bounds above; else empty. Only its header is read."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore', Image.DecompressionBombWarning)
            with Image.open(path) as image:
                width, height = image.size
    except Image.DecompressionBombError:
        return f'more than {MAX_PIXELS:,} pixels'
    except (OSError, SyntaxError, ValueError, UnidentifiedImageError):  # what decodes images says so
        return ''
    if width * height > MAX_PIXELS:
        return f'{width} x {height} pixels, more than {MAX_PIXELS:,}'
    if max(width, height) > MAX_RATIO * min(width, height):
        return f'{width} x {height} pixels, longer than {MAX_RATIO} times its other side'
    return ''


def depth_warning(paths: Sequence[str], samples: int = 8) -> str:
    """What to say of images that lose their contents when they are read to 8 bits a value; empty if nothing.

    Args:
        paths: The files.
        samples: Look into so many, evenly spaced, of formats that have more bits.
    """
    deep = [path for path in paths if path.lower().endswith(_DEEP)]
    for index in evenly_spaced(len(deep), samples) if deep else ():
        if (told := _lost(deep[index])):
            return f'{deep[index]}: {told}; bring such images to 8 bits first, scaled by the range they use'
    return ''


def _lost(path: str) -> str:
    if too_large(path) or _is_jpeg(path):
        return ''
    try:
        pixels = cv2.imread(path, cv2.IMREAD_UNCHANGED)
    except cv2.error:
        return ''
    if pixels is None or pixels.dtype == np.uint8 or not pixels.size:
        return ''
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
