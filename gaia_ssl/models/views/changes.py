"""Changes of images ``(N, 3, H, W)``, blue green red in [0, 255], each image by an amount of its own, ``(N, )``.

They compute what mmcv's and mmpretrain's transforms do by Pillow, which rounds after each, in float.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

LUMA = 0.114, 0.587, 0.299
"""Weights of blue, green and red in what Pillow calls L (ITU-R 601-2)."""
SIGMA_MAX = 2.0
"""The largest standard deviation that :func:`blur` takes."""
_HUES = 255
"""Steps of a full turn in mmcv's ``adjust_hue``, whose hue is a byte."""


def brighten(images: Tensor, factor: Tensor) -> Tensor:
    """Each value times the factor."""
    return (images * _each(factor)).clamp(0, 255)


def contrast(images: Tensor, factor: Tensor) -> Tensor:
    """The distance from the image's mean luma times the factor."""
    return _apart(images, luma(images).mean(dim=(1, 2, 3), keepdim=True).round(), factor)


def saturate(images: Tensor, factor: Tensor) -> Tensor:
    """The distance from the pixel's luma times the factor."""
    return _apart(images, luma(images), factor)


def shift_hue(images: Tensor, turn: Tensor) -> Tensor:
    """The hue moved by a share of a full turn, at the same saturation and value.

    Smith 1978, Color gamut transform pairs: to the hexcone and back.
    """
    blue, green, red = images.unbind(1)
    value, chroma = images.amax(1), images.amax(1) - images.amin(1)
    some = chroma.clamp(min=1e-6)
    hue = torch.where(value == red, (green - blue) / some, torch.where(
        value == green, 2 + (blue - red) / some, 4 + (red - green) / some))
    hue = hue + 6 * (turn * _HUES).trunc().view(-1, 1, 1) / _HUES
    places = [(sector + hue) % 6 for sector in (1, 3, 5)]  # of blue, green and red
    return torch.stack([value - chroma * torch.minimum(place, 4 - place).clamp(0, 1) for place in places], dim=1)


def gray(images: Tensor, _amount: Tensor) -> Tensor:
    """The luma in all channels."""
    return luma(images).expand_as(images)


def blur(images: Tensor, sigma: Tensor) -> Tensor:
    """Gaussian, its standard deviation in pixels; beyond its edges the image goes on as at them."""
    reach = int(3 * SIGMA_MAX)
    places = torch.arange(-reach, reach + 1, device=images.device, dtype=images.dtype)
    kernels = torch.softmax(-places**2 / (2 * sigma.unsqueeze(1)**2), dim=1)
    number, channels = images.shape[:2]
    rows = images.reshape(1, number * channels, *images.shape[2:])
    for shape in ((-1, 1, 1, 2 * reach + 1), (-1, 1, 2 * reach + 1, 1)):
        kernel = kernels.repeat_interleave(channels, dim=0).view(shape)
        pad = (reach, reach, 0, 0) if shape[-1] > 1 else (0, 0, reach, reach)
        rows = F.conv2d(F.pad(rows, pad, mode='replicate'), kernel, groups=number * channels)
    return rows.view_as(images)


def solarize(images: Tensor, threshold: Tensor) -> Tensor:
    """What is not below the threshold inverted."""
    return torch.where(images < _each(threshold), images, 255 - images)


def flip(images: Tensor, _amount: Tensor) -> Tensor:
    """Left and right changed."""
    return images.flip(3)


def luma(images: Tensor) -> Tensor:
    """``(N, 1, H, W)``."""
    blue, green, red = images.split(1, dim=1)
    return LUMA[0] * blue + LUMA[1] * green + LUMA[2] * red


def _apart(images: Tensor, centre: Tensor, factor: Tensor) -> Tensor:
    return (centre + _each(factor) * (images - centre)).clamp(0, 255)


def _each(amount: Tensor) -> Tensor:
    return amount.view(-1, 1, 1, 1)
