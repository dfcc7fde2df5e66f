"""Which archs a training step runs."""

from __future__ import annotations

import numpy as np

from gaia_ssl.errors import UserError
from gaia_ssl.space.arch import Arch
from gaia_ssl.space.arch_space import ArchSpace


class SandwichSampler:
    """Draws the sandwich of an iteration: named archs, the max one last (Algorithm 1, line 7).

    The generator (Philox) is keyed by (seed, iteration), so every process draws the same without a broadcast, and a
    resumed run draws what the uninterrupted one would have.

    Args:
        space: The space to draw from.
        num_random: How many random archs a step. 0 leaves plain training of the max arch (and min, if asked for).
        with_min: Whether the min arch belongs to every step.
        seed: The run's seed.

    Example:
        >>> from gaia_ssl.space import DATA_SPACE
        >>> list(SandwichSampler(DATA_SPACE, seed=1).sample(0))
        ['random_1', 'random_2', 'max']
    """

    def __init__(self, space: ArchSpace, num_random: int = 2, with_min: bool = False, seed: int = 0) -> None:
        if num_random < 0:
            raise UserError(f'num_random is {num_random}; a sandwich holds 0 or more random archs')
        self.space = space
        self.num_random = num_random
        self.with_min = with_min
        self.seed = seed

    def sample(self, iteration: int) -> dict[str, Arch]:
        """The archs of ``iteration`` by name: ``min`` (if asked for), ``random_1`` …, and ``max`` last."""
        rng = np.random.Generator(np.random.Philox(key=[self.seed, iteration]))
        archs = {'min': self.space.min} if self.with_min else {}
        archs |= {f'random_{i}': arch for i, arch in enumerate(self.space.sample(self.num_random, rng), start=1)}
        return archs | {'max': self.space.max}
