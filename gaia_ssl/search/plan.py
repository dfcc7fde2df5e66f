"""What a search computes, what it costs, and who does which part."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any, cast

import numpy as np
from matplotlib.ticker import EngFormatter
from torch.utils.data import DataLoader

from gaia_ssl.checkpoint import file_hash
from gaia_ssl.datasets.batches import evenly_spaced, in_even_batches
from gaia_ssl.datasets.fingerprint import images_fingerprint
from gaia_ssl.datasets.load_channels import LoadChannels
from gaia_ssl.errors import UserError
from gaia_ssl.file_choice import ALL_FILES
from gaia_ssl.search.measures.between_images import CELLS
from gaia_ssl.search.measures.paper import MAX_ELEMENTS, MAX_KEPT
from gaia_ssl.search.selection import Selection
from gaia_ssl.search.task import relates_images
from gaia_ssl.space import ArchSpace, ArchTree
from gaia_ssl.space.cost import feature_sizes


class ImageBatches:
    """The images to score on, in batches that are always the same, as batch norm uses the batch's statistics.

    As many batches as the batch size makes necessary, of about equal size.

    Args:
        dataloader: Gives data set, batch size, workers and collation. (It deals out images by process; here whole
            batches are.)
        num_images: So many, evenly spaced over the data; None takes all.
    """

    def __init__(self, dataloader: DataLoader, num_images: int | None = None) -> None:
        if num_images is not None and num_images < 1:
            raise UserError(f'num_images is {num_images}; give 1 or more, or None for all')
        self._dataloader = dataloader
        self._dataset = cast(Any, dataloader.dataset)  # mmengine's, which has more than torch's
        self.indices = evenly_spaced(len(self._dataset), num_images)
        self.num_images = len(self.indices)
        assert dataloader.batch_size is not None
        self.batch_size = dataloader.batch_size
        self._batches = in_even_batches(self.indices, self.batch_size)

    def __len__(self) -> int:
        return len(self._batches)

    def size(self, batch: int) -> int:
        """Images in a batch."""
        return len(self._batches[batch])

    def paths(self) -> list[str]:
        """Of all images."""
        return [self._dataset.get_data_info(index)['img_path'] for index in self.indices]

    def described(self) -> list[str]:
        """Lines for the user: which images there are."""
        return getattr(self._dataset, 'described', [])

    def files(self) -> dict[str, Any]:
        """The choice of files in the folder, in plain values; empty for all."""
        return getattr(self._dataset, 'choice', ALL_FILES).arguments()

    def pixel_range(self) -> dict[str, Any] | None:
        """By which images are read, in plain values; None for 8 bits and three colours."""
        pipeline = self._dataset.pipeline.transforms
        return next((each.range.arguments() for each in pipeline if isinstance(each, LoadChannels)), None)

    def folder(self) -> str:
        """Where the images are."""
        return self._dataset.img_prefix

    def fingerprint(self, report: Callable[[str], None]) -> str:
        """Of the images, by their content; ``report`` is told how far it is where that takes long."""
        return images_fingerprint(self.paths(), self.folder(), report)

    def pipeline(self) -> str:
        """The transforms, as they describe themselves."""
        return ' '.join(str(self._dataset.pipeline).split())

    def loader(self, batches: Sequence[int]) -> DataLoader:
        """Loads these batches in turn."""
        sampler = [self._batches[batch] for batch in batches]
        return DataLoader(self._dataset, batch_sampler=sampler, num_workers=self._dataloader.num_workers,
                          collate_fn=self._dataloader.collate_fn)


def search_settings(checkpoint: str, model: dict[str, Any], images: str, batches: ImageBatches, tree: ArchTree,
                    quantities: Sequence[str], temperature: float, dtype: str, device: str) -> dict[str, Any]:
    """Everything that decides the scores, in plain values."""
    return dict(
        checkpoint_sha256=file_hash(checkpoint),
        **model,
        pipeline=batches.pipeline(),
        images=batches.num_images,
        images_sha256=images,
        batch_size=batches.batch_size,
        **arch_list(tree),
        quantities=list(quantities),
        temperature=temperature,
        dtype=dtype,
        device=device,
    )


def arch_list(tree: ArchTree) -> dict[str, Any]:
    """Which archs these are, in plain values."""
    return dict(archs=len(tree), arch_list_sha256=hashlib.sha256(tree.numbers.astype('<i8').tobytes()).hexdigest())


def expected_bytes(space: ArchSpace, images: int, resolution: int, stem_kernel: int, in_channels: int, dtype_bytes: int,
                   threads: int, quantities: Sequence[str]) -> float:
    """Memory of a search beside the model, an upper estimate.

    A thread holds, for each image of a batch, the stem and a stage's output for each step of the path, three maps of the
    block at work, and what it relates: MAX_ELEMENTS relations of positions, five times, and the teacher's that are kept; and
    the cosines of all cells of a batch, about four times, and twice more for each quantity of them. All threads share the
    slices of the weights, about 1.7 times the weights.

    Args:
        space: Of the supernet.
        images: In a batch.
        resolution: Side of the images.
        stem_kernel: The supernet's.
        dtype_bytes: Of a number in the forward passes.
        threads: Walkers at a time.
        quantities: What is scored.
    """
    sizes = [height * width for height, width in feature_sizes(resolution, stem_kernel)]
    maps = [area * channels for area, channels in zip(sizes[2:], space.max.out_channels, strict=True)]
    path = 2 * space.max.stem * sizes[0] + sum(maps) + 3 * max(maps)
    kept = sum(area**2 for area in sizes[2:] if images * area**2 <= MAX_KEPT)
    between = sum(map(relates_images, quantities))
    relations = 4 * images * 3 * max(maps)
    if between < len(quantities):
        relations += 4 * (5 * MAX_ELEMENTS + images * kept)
    if between:
        relations += 4 * (CELLS**2 * images)**2 * (4 + 2 * between)
    slices = 1.7 * space.max.params(stem_kernel, in_channels=in_channels) * dtype_bytes
    return threads * (images * path * dtype_bytes + relations) + slices


def describe_cost(selection: Selection, batches: ImageBatches, input_size: tuple[int, int, int]) -> str:
    """What the whole search costs, in a sentence."""
    tree = selection.tree
    walk, forwards = tree.macs(*input_size).sum(), selection.costs['flops'].sum()
    return (f'{len(tree):,} archs on {batches.num_images:,} images: {amount(walk)} multiply-adds an image, '
            f'{forwards / walk:.1f} times fewer than one forward each, {amount(walk * batches.num_images)} in all')


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
