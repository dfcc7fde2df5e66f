"""Files that decode to far more than they are worth."""

from __future__ import annotations

import logging
import warnings

from PIL import Image, UnidentifiedImageError

logging.getLogger('PIL.TiffImagePlugin').setLevel(logging.CRITICAL)  # it prints what it cannot read, image by image
MAX_PIXELS = 178_956_970
"""Of an image, about 13,000 x 13,000: half a gigabyte once it is decoded. It is Pillow's own bound."""
MAX_RATIO = 200
"""Of an image's sides. Resized by the short one, what is longer would fill the memory."""


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
