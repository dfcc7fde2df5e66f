"""mmpretrain's transforms that take images for 8 bits and three colours, for floats and any number of channels.

Each has the name and the arguments of the one that it stands for; ``type='gaia_ssl.NAME'`` takes it.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import mmcv.transforms
import numpy as np
import torch
from mmcv.transforms import BaseTransform
from mmpretrain.datasets import transforms
from torch.nn import functional as F

from gaia_ssl.pixel_range import WHITE
from gaia_ssl.registry import TRANSFORMS


def resized(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """``(H, W, C)`` to ``(height, width, C)``, averaging over what is left out, as Pillow does."""
    channels_first = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1), dtype=np.float32))[None]
    smaller = F.interpolate(channels_first, (height, width), mode='bilinear', antialias=True, align_corners=False)
    return smaller[0].permute(1, 2, 0).numpy()


@TRANSFORMS.register_module()
class RandomResizedCrop(transforms.RandomResizedCrop):
    """A part of the image, resized; ``interpolation`` and ``backend`` mean nothing here."""

    def transform(self, results: dict) -> dict:
        """Change ``img`` and ``img_shape``."""
        image = results['img']
        top, left, height, width = self.rand_crop_params(image)
        results['img'] = resized(image[top:top + height, left:left + width], *self.scale)
        results['img_shape'] = results['img'].shape
        return results


@TRANSFORMS.register_module()
class ResizeEdge(transforms.ResizeEdge):
    """The image, resized to a length of one edge; ``interpolation`` and ``backend`` mean nothing here."""

    def _resize_img(self, results: dict) -> None:
        image, (width, height) = results['img'], results['scale']
        results['img'] = resized(image, height, width)
        results['img_shape'] = (height, width)
        results['scale_factor'] = (width / image.shape[1], height / image.shape[0])


@TRANSFORMS.register_module()
class ColorJitter(transforms.ColorJitter):
    """Brightness, contrast about the mean of the image, and saturation, which draws a pixel's channels to their mean or away
    from it. There is no hue without colours.
    """

    def transform(self, results: dict) -> dict:
        """Change ``img``."""
        image = np.atleast_3d(results['img'])  # mmcv's resizing drops an only channel
        order, brightness, contrast, saturation, _ = self._rand_params()
        for index in order:
            if index == 0 and brightness is not None:
                image = image * np.float32(brightness)
            elif index == 1 and contrast is not None:
                image = _from_mean(image, image.mean(), contrast)
            elif index == 2 and saturation is not None:
                image = _from_mean(image, image.mean(axis=2, keepdims=True), saturation)
            image = np.clip(image, 0, WHITE)
        results['img'] = image
        return results


def _from_mean(image: np.ndarray, mean: np.ndarray, factor: float) -> np.ndarray:
    return mean + np.float32(factor) * (image - mean)


@TRANSFORMS.register_module()
class RandomGrayscale(mmcv.transforms.RandomGrayscale):
    """All channels become their mean, with the probability ``prob``; the further arguments mean nothing here."""

    def transform(self, results: dict) -> dict:
        """Change ``img``."""
        if self._random_prob() < self.prob:
            image = results['img']
            results['img'] = np.repeat(image.mean(axis=2, keepdims=True), image.shape[2], axis=2)
        return results


@TRANSFORMS.register_module()
class GaussianBlur(transforms.GaussianBlur):
    """By OpenCV, each channel for itself; ``radius`` is the standard deviation, as in Pillow."""

    def transform(self, results: dict) -> dict:
        """Change ``img``."""
        if self.random_disable():
            return results
        radius = self.radius if self.radius is not None else self.random_magnitude()
        image = results['img']
        results['img'] = cv2.GaussianBlur(image, (0, 0), radius).reshape(image.shape)  # which drops an only channel
        return results


@TRANSFORMS.register_module()
class NormaliseChannels(BaseTransform):
    """Last in pipelines of mmdet and mmseg, whose data preprocessors normalise one channel or three.

    Args:
        mean, std: One number a channel.
    """

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        self.mean, self.std = (np.array(each, dtype=np.float32) for each in (mean, std))

    def transform(self, results: dict) -> dict:
        """Change ``img``."""
        results['img'] = (np.atleast_3d(results['img']) - self.mean) / self.std
        return results


OWN = frozenset(each.__name__ for each in (RandomResizedCrop, ResizeEdge, ColorJitter, RandomGrayscale, GaussianBlur))
