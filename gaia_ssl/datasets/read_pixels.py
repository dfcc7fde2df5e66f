"""Images of any number of channels and bits, as their files hold them."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator

import cv2
import numpy as np
import tifffile
from PIL import Image

from gaia_ssl.datasets.image_limits import MAX_PIXELS, MAX_RATIO

_TIFF = ('.tif', '.tiff')
_PILLOW = ('.gif', '.tga')
MAX_VALUES = 4 * MAX_PIXELS
"""Of all pages of a TIFF."""


def read_pixels(path: str, channels: int | None = None) -> np.ndarray:
    """The numbers in an image file, ``(height, width, channels)``, in the file's own type.

    - TIFF (GeoTIFF, planes, pages of equal size as channels), by tifffile; what that lacks a decoder for (LZW, JPEG), by
      OpenCV, where a page has up to four channels.
    - NPY, ``(height, width)``, or with channels as the first or the last axis: the one that is ``channels`` long, or else the
      shorter.
    - All else by OpenCV or Pillow, with 8 or 16 bits or floats: grey is one channel, colours are red, green and blue; alpha is
      left out.

    Args:
        path: The file; its ending tells how to read it.
        channels: How many are expected.

    Raises:
        OSError: If it cannot be read, or holds something else.
    """
    lower = path.lower()
    with _as_os_error(path):
        if lower.endswith('.npy'):
            pixels = _channels_last(np.load(path, allow_pickle=False), channels)
        elif lower.endswith(_TIFF):
            pixels = np.atleast_3d(_read_tiff(path))
        else:
            pixels = np.atleast_3d(_read_with_pillow(path) if lower.endswith(_PILLOW) else _read_with_opencv(path))
        if pixels.dtype.kind not in 'buif':
            raise OSError(f'holds {pixels.dtype}, no real numbers')
        _check_size(*pixels.shape[:2])
        return pixels


def read_size(path: str) -> tuple[int, int]:
    """Width and height of the image in a file that :func:`read_pixels` reads.

    Raises:
        OSError: As there.
    """
    with _as_os_error(path):
        if not path.lower().endswith(_TIFF):
            with Image.open(path) as image:
                return image.size
        with tifffile.TiffFile(path) as file:
            series = file.series[0]
            return series.shape[series.axes.index('X')], series.shape[series.axes.index('Y')]


def _read_tiff(path: str) -> np.ndarray:
    with tifffile.TiffFile(path) as file:
        series = file.series[0]
        sides = [series.axes.index(name) for name in 'YX']
        _check_size(*(series.shape[side] for side in sides))
        if (values := math.prod(series.shape)) > MAX_VALUES:
            raise OSError(f'has {values:,} numbers, more than {MAX_VALUES:,}')
        try:
            pixels = np.moveaxis(series.asarray(), sides, (0, 1))
            return pixels.reshape(*pixels.shape[:2], -1)
        except ValueError as error:
            lacks_decoder = str(error).startswith('<COMPRESSION')
            read, pages = cv2.imreadmulti(path, flags=cv2.IMREAD_UNCHANGED) if lacks_decoder else (False, ())
            if not read:
                raise
    images = [_in_rgb(page) for page in pages]
    return images[0] if len(images) == 1 else np.concatenate([np.atleast_3d(each) for each in images], axis=2)


def _read_with_pillow(path: str) -> np.ndarray:
    with Image.open(path) as image:
        _check_size(*image.size)
        return np.asarray(image.convert('RGB') if image.mode != 'L' else image)


def _read_with_opencv(path: str) -> np.ndarray:
    pixels = cv2.imread(path, cv2.IMREAD_ANYCOLOR | cv2.IMREAD_ANYDEPTH)
    if pixels is None:
        raise OSError('no image that OpenCV decodes')
    return _in_rgb(pixels)


def _in_rgb(pixels: np.ndarray) -> np.ndarray:
    """Colours are BGR in OpenCV."""
    if pixels.ndim == 3 and pixels.shape[2] in (3, 4):
        return pixels[..., [2, 1, 0, 3][:pixels.shape[2]]]
    return pixels


def _channels_last(pixels: np.ndarray, channels: int | None) -> np.ndarray:
    if pixels.ndim == 2:
        return pixels[..., None]
    if pixels.ndim != 3 or not pixels.size:
        raise OSError(f'holds an array of shape {pixels.shape}, no image')
    first, last = pixels.shape[0], pixels.shape[2]
    return np.moveaxis(pixels, 0, 2) if last != channels and (first == channels or first < last) else pixels


def _check_size(one: int, other: int) -> None:
    if one * other > MAX_PIXELS:
        raise OSError(f'has {one * other:,} pixels, more than {MAX_PIXELS:,}')
    if max(one, other) > MAX_RATIO * min(one, other):
        raise OSError(f'one side is more than {MAX_RATIO} times the other')


@contextlib.contextmanager
def _as_os_error(path: str) -> Iterator[None]:
    """What decoders raise on a file that they cannot read, as an OSError that names it."""
    try:
        yield
    except (OSError, ValueError, SyntaxError, EOFError, IndexError, KeyError, TypeError, cv2.error, MemoryError,
            Image.DecompressionBombError) as error:
        told = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise OSError(f'{path}: {told}') from error
