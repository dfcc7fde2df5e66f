"""The transform that loads images of any number of channels."""

from __future__ import annotations

from collections.abc import Sequence

from mmcv.transforms import LoadImageFromFile

from gaia_ssl.datasets.read_pixels import read_pixels
from gaia_ssl.errors import UserError
from gaia_ssl.pixel_range import PixelRange
from gaia_ssl.registry import TRANSFORMS


@TRANSFORMS.register_module()
class LoadChannels(LoadImageFromFile):
    """In place of mmcv's LoadImageFromFile: ``img`` is float32 ``(H, W, channels)`` from 0 to 255.

    Args:
        low, high: The :class:`~gaia_ssl.pixel_range.PixelRange`.
    """

    def __init__(self, low: Sequence[float], high: Sequence[float]) -> None:
        super().__init__(to_float32=True)
        self.range = PixelRange(tuple(low), tuple(high))

    def transform(self, results: dict) -> dict:
        """Load ``img_path``.

        Raises:
            OSError: If the file cannot be read.
            UserError: If it has another number of channels.
        """
        path, channels = results['img_path'], self.range.channels
        pixels = read_pixels(path, channels)
        if pixels.shape[2] != channels:
            raise UserError(f'{path}: has {pixels.shape[2]} channels, and the range of pixels is for {channels}; sort such '
                            'images into a folder of their own, or leave them out with --exclude')
        results['img'] = self.range.scale(pixels)
        results['img_shape'] = results['ori_shape'] = pixels.shape[:2]
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(low={list(self.range.low)}, high={list(self.range.high)})'
