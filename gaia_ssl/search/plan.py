"""What a search computes, what it costs, and who does which part."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.ticker import EngFormatter
from torch.utils.data import DataLoader

from gaia_ssl.checkpoint import file_hash
from gaia_ssl.errors import UserError
from gaia_ssl.search.selection import Selection
from gaia_ssl.space import ArchTree


class ImageBatches:
    """The images to score on, in batches that are always the same, as batch norm uses the batch's statistics.

    Args:
        dataloader: Gives data set, batch size, workers and collation. (It deals out images by process; here whole
            batches are.)
        num_images: So many, evenly spaced over the data; None takes all.
    """

    def __init__(self, dataloader: DataLoader, num_images: int | None = None) -> None:
        if num_images is not None and num_images < 1:
            raise UserError(f'num_images is {num_images}; give 1 or more, or None for all')
        self._dataloader = dataloader
        total = len(dataloader.dataset)
        self.num_images = min(total, num_images or total)
        self.indices = [index * total // self.num_images for index in range(self.num_images)]
        self.batch_size = dataloader.batch_size

    def __len__(self) -> int:
        return -(-self.num_images // self.batch_size)

    def first_image(self, batch: int) -> int:
        """Position of a batch's first image among all."""
        return batch * self.batch_size

    def size(self, batch: int) -> int:
        """Images in a batch."""
        return min(self.batch_size, self.num_images - self.first_image(batch))

    def paths(self) -> list[str]:
        """Of all images."""
        return [self._dataloader.dataset.get_data_info(index)['img_path'] for index in self.indices]

    def loader(self, batches: Sequence[int]) -> DataLoader:
        """Loads these batches in turn."""
        sampler = [self.indices[self.first_image(batch):][:self.size(batch)] for batch in batches]
        return DataLoader(self._dataloader.dataset, batch_sampler=sampler, num_workers=self._dataloader.num_workers,
                          collate_fn=self._dataloader.collate_fn)


def search_settings(checkpoint: str, batches: ImageBatches, tree: ArchTree, features: Sequence[str], temperature: float,
                    dtype: str) -> dict[str, Any]:
    """Everything that decides the scores, in plain values."""
    files = [(path, os.path.getsize(path)) for path in batches.paths()]
    return dict(
        checkpoint=checkpoint,
        checkpoint_sha256=file_hash(checkpoint),
        images=batches.num_images,
        image_list_sha256=hashlib.sha256(json.dumps(files).encode()).hexdigest(),
        batch_size=batches.batch_size,
        archs=len(tree),
        arch_list_sha256=hashlib.sha256(tree.numbers.astype('<i8').tobytes()).hexdigest(),
        features=list(features),
        temperature=temperature,
        dtype=dtype,
    )


def describe_cost(selection: Selection, batches: ImageBatches, input_size: tuple[int, int], done: int) -> str:
    """What the whole search costs, in a sentence."""
    tree = selection.tree
    walk, forwards = tree.macs(*input_size).sum(), selection.costs['flops'].sum()
    units = tree.num_units * len(batches)
    resumed = f'; {done} of {units} units are done already' if done else ''
    return (f'{len(tree):,} archs on {batches.num_images:,} images: {amount(walk)} multiply-adds an image, '
            f'{forwards / walk:.1f} times fewer than one forward each, {amount(walk * batches.num_images)} in all{resumed}')


def amount(macs: float) -> str:
    """E.g. ``35.24 T``."""
    return EngFormatter(places=2)(macs)


def share_of_process(todo: Sequence[tuple[int, int]], batches: ImageBatches, macs: np.ndarray, rank: int,
                     world_size: int) -> list[tuple[int, int]]:
    """The part of the (image batch, unit) pairs that a process does: adjacent ones, about equally many multiply-adds."""
    if not todo:
        return []
    cost = np.cumsum([macs[unit] * batches.size(batch) for batch, unit in todo])
    bounds = np.searchsorted(cost, cost[-1] * np.arange(1, world_size) / world_size)
    start, stop = ([0, *bounds, len(todo)][position] for position in (rank, rank + 1))
    return list(todo[start:stop])
