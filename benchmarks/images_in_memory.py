"""Small images held in memory, and both their views made in batches on the device: no decoding, no transform an image."""

from __future__ import annotations

import functools
import math
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import Dataset

from gaia_ssl.datasets import ImageFolder
from gaia_ssl.files import atomic_path
from gaia_ssl.models.algorithms import ViewPreprocessor
from gaia_ssl.registry import DATASETS, MODELS

GRAY = (0.114, 0.587, 0.2989)
"""Weights of blue, green and red."""


def pack_images(folder: Path, resolution: int, file: Path) -> None:
    """Write into ``file`` all images of ``folder``, a folder a class, unless they are there.

    ``images`` are the whole images, BGR bytes ``(N, 3, resolution, resolution)``, ``labels`` the numbers of their classes; in
    mixed order, so that any run of them has all classes.
    """
    if file.is_file():
        return
    dataset = ImageFolder(str(folder), with_label=True, pipeline=[
        dict(type='LoadImageFromFile'),
        dict(type='mmpretrain.ResizeEdge', scale=resolution, edge='short', backend='pillow'),
        dict(type='mmpretrain.CenterCrop', crop_size=resolution),
        dict(type='mmpretrain.PackInputs'),
    ])
    order = torch.randperm(len(dataset), generator=torch.Generator().manual_seed(0)).tolist()
    images = torch.stack([dataset[index]['inputs'] for index in order])
    labels = torch.tensor([int(dataset.get_data_info(index)['gt_label']) for index in order])
    with atomic_path(file) as temporary:
        torch.save(dict(images=images, labels=labels), temporary)


@functools.cache
def packed(file: str) -> dict[str, Tensor]:
    """What :func:`pack_images` wrote."""
    return torch.load(file, weights_only=True)


@DATASETS.register_module()
class ImagesInMemory(Dataset):
    """The images of a ``file`` of :func:`pack_images`, for :class:`gaia_ssl.datasets.SeededSampler`."""

    def __init__(self, file: str) -> None:
        self.images = packed(file)['images']

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: tuple[int, int]) -> dict[str, Any]:
        """An image, and as its ``data_samples`` the seed of the sampler's pair."""
        return dict(inputs=self.images[index[1]], data_samples=index[0])


@MODELS.register_module()
class ViewsInBatches(ViewPreprocessor):
    """Makes the views of a batch of whole images, then normalises them as its base does.

    A batch's random numbers are drawn on the CPU, from a generator with the seed of its first image: they do not depend on
    the device, or on whether the run was resumed.

    Args:
        views: For each view the arguments of :func:`colours`; None changes no colours.
        scale: Least and largest share of the image that a crop takes.
        **kwargs: As in :class:`ViewPreprocessor`.
    """

    def __init__(self, views: list[dict | None], scale: tuple[float, float] = (0.2, 1.), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.views, self.scale = views, scale

    def forward(self, data: dict, training: bool = False) -> dict[str, Any]:
        generator = torch.Generator().manual_seed(int(data['data_samples'][0]))
        images = self.cast_data(data['inputs']).float()
        views = []
        for settings in self.views:
            view = crop(images, self.scale, generator)
            views.append(self._normalise(view if settings is None else colours(view, generator, **settings)))
        return dict(inputs=views, data_samples=None)


def crop(images: Tensor, scale: tuple[float, float], generator: torch.Generator) -> Tensor:
    """RandomResizedCrop and RandomFlip of each of ``(N, 3, H, W)``, bilinear, to the same size."""
    area, ratio, x, y, side = torch.rand(5, len(images), generator=generator)
    area = scale[0] + (scale[1] - scale[0]) * area
    ratio = torch.exp((2 * ratio - 1) * math.log(4 / 3) / 2)  # width to height, its square root
    width, height = (area.sqrt() * ratio).clamp(max=1), (area.sqrt() / ratio).clamp(max=1)
    flip = torch.where(side < 0.5, -1., 1.)
    zero = torch.zeros_like(area)
    # Output coordinates in [-1, 1] to input coordinates, of which a crop leaves 1 - width free on either side.
    theta = torch.stack([width * flip, zero, (2 * x - 1) * (1 - width), zero, height, (2 * y - 1) * (1 - height)], dim=1)
    grid = F.affine_grid(theta.view(-1, 2, 3).to(images.device, non_blocking=True), list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, padding_mode='border', align_corners=False)


def colours(images: Tensor, generator: torch.Generator, strength: tuple[float, ...] = (0.4, 0.4, 0.4, 0.1),
            jitter: float = 0.8, gray: float = 0.2, solarize: float = 0.) -> Tensor:
    """ColorJitter, RandomGrayscale and Solarize of each of BGR ``(N, 3, H, W)``, 0 to 255.

    Brightness, contrast, saturation and hue, in this order, are one matrix an image; the hue turns around the gray axis.

    Args:
        images: The images.
        generator: On the CPU.
        strength: Of brightness, contrast, saturation and hue.
        jitter, gray, solarize: Shares of the images whose colours change, that lose them, and whose bright values are inverted.
    """
    count, device = len(images), images.device
    random = torch.rand(7, count, generator=generator)
    shift = (2 * random[:4] - 1) * torch.tensor(strength)[:, None] * (random[4] < jitter)
    brightness, contrast, saturation = (1 + shift[:3])[..., None, None]
    angle = (2 * math.pi * shift[3])[:, None, None]
    eye, ones = torch.eye(3), torch.ones(3, 3)
    turned = torch.tensor([[0., 1., -1.], [-1., 0., 1.], [1., -1., 0.]]) / math.sqrt(3)  # around the axis of gray, in BGR
    to_gray = torch.tensor(GRAY).expand(3, 3)
    hue = angle.cos() * eye + (1 - angle.cos()) * ones / 3 + angle.sin() * turned
    matrix = hue @ (saturation * eye + (1 - saturation) * to_gray) * (brightness * contrast)
    lost = (random[5] < gray)[:, None, None]
    matrix = torch.where(lost, to_gray @ matrix, matrix).to(device, non_blocking=True)
    offset = ((1 - contrast) * brightness).view(-1, 1, 1, 1).to(device, non_blocking=True)
    weights = torch.tensor(GRAY).view(1, 3, 1, 1).to(device, non_blocking=True)
    mean = (images * weights).sum(1, keepdim=True).mean((2, 3), keepdim=True)
    images = (torch.einsum('nij,njhw->nihw', matrix, images) + offset * mean).clamp_(0, 255)
    if solarize:
        inverted = (random[6] < solarize).view(-1, 1, 1, 1).to(device, non_blocking=True)
        images = torch.where(inverted & (images >= 128), 255 - images, images)
    return images
