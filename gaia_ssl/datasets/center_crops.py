"""Images as a trained network is shown them: resized, cropped at the centre, normalised."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from gaia_ssl.datasets.batches import evenly_spaced, in_batches
from gaia_ssl.datasets.channel_pipeline import set_pixel_range
from gaia_ssl.datasets.image_folder import ImageFolder
from gaia_ssl.datasets.resolution import short_edge
from gaia_ssl.datasets.unreadable import UnreadableImages
from gaia_ssl.errors import UserError
from gaia_ssl.file_choice import ALL_FILES, FileChoice
from gaia_ssl.pixel_range import PixelRange
from gaia_ssl.progress import Progress
from gaia_ssl.terminal import say


def center_crop_pipeline(resolution: int) -> list[dict[str, Any]]:
    """mmpretrain's usual evaluation pipeline: short edge to 8/7 of ``resolution``, then its central square.

    As in the exported configs and in training, Pillow resizes, which averages over what it leaves out.
    """
    return [
        dict(type='LoadImageFromFile'),
        dict(type='mmpretrain.ResizeEdge', scale=short_edge(resolution), edge='short', backend='pillow'),
        dict(type='mmpretrain.CenterCrop', crop_size=resolution),
        dict(type='mmpretrain.PackInputs'),
    ]


def check_sizes(resolution: int | None, batch_size: int | None, max_images: int | None) -> None:
    """Raise a UserError if any of what :class:`CenterCrops` takes is given and below 1."""
    if any(size is not None and size < 1 for size in (resolution, batch_size, max_images)):
        raise UserError('resolution, batch size and number of images must be 1 or more')


@dataclasses.dataclass
class CenterCrops:
    """Iterable over normalised batches ``(N, channels, resolution, resolution)`` of a folder; :attr:`labels` if asked.

    Args:
        folder: Images in any tree, or a folder a class for ``with_label``.
        mean, std, to_rgb: Normalisation, as a supernet's checkpoint states it.
        resolution: Side in pixels.
        batch_size: Images a batch; the last one may be smaller, but never a single image unless all is one.
        max_images: Take so many images, evenly spaced over the sorted folder; None takes all.
        with_label: Whether each folder directly below is a class.
        names: Take only files of these names, with or without suffix; None takes all.
        choice: Which files of the folder to take.
        pixel_range: That of the images, as a supernet's checkpoint states it; None for 8 bits and three colours.
        max_unreadable: The share of unreadable images above which iteration ends in a UserError.
        keep: Keep the images in memory once they are read, at one byte a value: 150 KB each at 224 px (with a
            ``pixel_range`` four bytes).
        device: Where the batches go.
        num_workers: Processes that read images.
        report: Where it is told which images there are, progress, and unreadable paths.
        announce: Whether to tell the former.

    Raises:
        UserError: If there is no such image.
    """

    folder: str
    mean: Sequence[float]
    std: Sequence[float]
    to_rgb: bool
    resolution: int = 224
    batch_size: int = 64
    max_images: int | None = None
    with_label: bool = False
    names: frozenset[str] | None = None
    choice: FileChoice = ALL_FILES
    pixel_range: PixelRange | None = None
    max_unreadable: float = 0.01
    keep: bool = False
    device: str = 'cpu'
    num_workers: int = 0
    report: Callable[[str], None] = say
    announce: bool = True

    def __post_init__(self) -> None:
        check_sizes(self.resolution, self.batch_size, self.max_images)
        settings: dict[str, Any] = dict(pipeline=center_crop_pipeline(self.resolution), **self.choice.arguments())
        set_pixel_range(settings, self.pixel_range)
        self.dataset = ImageFolder(self.folder, with_label=self.with_label, **settings)
        for line in self.dataset.described if self.announce else ():
            self.report(line)
        chosen = [index for index in range(len(self.dataset)) if self._is_asked_for(index)]
        if not chosen:
            names = self.names or ()
            raise UserError(f'{self.folder}: holds none of the {len(names)} images that are asked for, e.g. '
                            f'{min(names, default=None)}')
        self.indices = [chosen[position] for position in evenly_spaced(len(chosen), self.max_images)]
        self._batches = in_batches(self.indices, self.batch_size)
        self._kept: list[Tensor] = []

    def __len__(self) -> int:
        """Batches."""
        return len(self._batches)

    def _is_asked_for(self, index: int) -> bool:
        if self.names is None:
            return True
        path = pathlib.Path(self.dataset.get_data_info(index)['img_path'])
        return not self.names.isdisjoint((path.name, path.stem))

    @property
    def kept_bytes(self) -> int:
        """What ``keep`` takes of memory."""
        a_pixel = 3 if self.pixel_range is None else 4 * self.pixel_range.channels
        return len(self.indices) * self.resolution**2 * a_pixel

    @property
    def paths(self) -> list[str]:
        """The files, in the order of iteration."""
        return [self.dataset.get_data_info(index)['img_path'] for index in self.indices]

    @property
    def labels(self) -> list[int]:
        """Each image's class, in the order of iteration."""
        return [int(self.dataset.get_data_info(index)['gt_label']) for index in self.indices]

    @property
    def classes(self) -> list[str]:
        """The name of each image's class, in the order of iteration."""
        return [self.dataset.CLASSES[label] for label in self.labels]

    def __iter__(self) -> Iterator[Tensor]:
        mean, std = (torch.tensor(values, device=self.device).view(1, -1, 1, 1) for values in (self.mean, self.std))
        for images in self._kept or self._read():
            images = images.to(self.device)
            yield ((images.flip(1) if self.to_rgb else images).float() - mean) / std

    def _read(self) -> Iterator[Tensor]:
        """Batches before they are normalised: BGR, one byte a value, or as the ``pixel_range`` scales them."""
        unreadable = UnreadableImages(self.max_unreadable, total=len(self.indices))
        progress = Progress(len(self.indices), 'images', self.report)
        read = []
        for data in DataLoader(self.dataset, batch_sampler=self._batches, num_workers=self.num_workers, collate_fn=list):
            for sample in data:
                for path in unreadable.update(sample['data_samples'].unreadable):
                    self.report(f'unreadable image, skipped: {path}')
            images = torch.stack([sample['inputs'] for sample in data])
            if self.keep:
                read.append(images)
            yield images
            progress.advance(len(images))
        if unreadable.paths:
            self.report(unreadable.summary())
        self._kept = read
