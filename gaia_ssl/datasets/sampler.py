"""The sampler that gives each sample a seed of its own."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from mmengine.dataset import DefaultSampler

from gaia_ssl.registry import DATA_SAMPLERS


@DATA_SAMPLERS.register_module()
class SeededSampler(DefaultSampler):
    """mmengine's DefaultSampler, in the same order, but yielding ``(sample_seed, index)``.

    With :class:`gaia_ssl.datasets.ImageFolder`, the augmentations of a sample then follow from (seed, epoch, index)
    alone: any number of workers, and a resumed run, see the same data. Takes DefaultSampler's arguments.
    """

    def __iter__(self) -> Iterator[tuple[int, int]]:
        """Iterate over this rank's pairs of the current epoch."""
        seed, epoch = self.seed, self.epoch
        return ((sample_seed(seed, epoch, index), index) for index in super().__iter__())


def sample_seed(seed: int, epoch: int, index: int) -> int:
    """Hash (seed, epoch, index), each non-negative, to an int of 63 bits."""
    sequence = np.random.SeedSequence(seed, spawn_key=(epoch, index))
    return int(sequence.generate_state(1, np.uint64)[0]) >> 1
