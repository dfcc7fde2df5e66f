"""Which archs a training step runs."""

from __future__ import annotations

import numpy as np

from gaia_ssl.errors import UserError
from gaia_ssl.space.arch import Arch
from gaia_ssl.space.arch_space import ArchSpace

PARTS = ('min', 'random', 'max')


class SandwichSampler:
    """Draws the sandwich of an iteration: named archs, the max one last (Algorithm 1, line 7).

    The generator (Philox) is keyed by (seed, iteration), so every process draws the same without a broadcast, and a
    resumed run draws what the uninterrupted one would have.

    Args:
        space: The space to draw from. Of a single arch there is but one sandwich: that arch.
        sandwich: What a step runs, joined by ``+``: any number of ``random``, ``min`` or not, and ``max``. ``'max'`` is
            plain training of the max arch.
        seed: The run's seed.
        slow_start: For this share of the training, a step is the max arch alone: the others then begin with weights that are
            worth sharing (SlimCLR, https://arxiv.org/abs/2209.15525, which has 0.5).
        phases: The rest of the training in so many equal parts, in which the smallest arch falls: in the first of n they are
            drawn from the largest n-th of the choices of each dimension, in the last from all. US3L
            (https://arxiv.org/abs/2303.06870) has a slow start and three.

    Raises:
        UserError: If ``sandwich`` is none, or ``slow_start`` or ``phases`` are out of range.

    Example:
        >>> from gaia_ssl.space import DATA_SPACE
        >>> list(SandwichSampler(DATA_SPACE, 'min+random+max', seed=1).sample(0))
        ['min', 'random_1', 'max']
    """

    def __init__(self, space: ArchSpace, sandwich: str = 'random+random+max', seed: int = 0, slow_start: float = 0.,
                 phases: int = 1) -> None:
        parts = sandwich.split('+')
        if parts.count('max') != 1 or parts.count('min') > 1 or not set(parts) <= set(PARTS):
            raise UserError(f"sandwich is '{sandwich}'; join max, any number of random, and min or not by +, "
                            'e.g. random+random+max')
        if not 0 <= slow_start < 1:
            raise UserError(f'slow_start is {slow_start}; it is the share of the training with the max arch alone, in [0, 1)')
        if phases < 1:
            raise UserError(f'phases is {phases}; the archs are drawn from a growing space in 1 phase or more')
        self.space = space
        self.num_random = parts.count('random') if len(space) > 1 else 0
        self.with_min = 'min' in parts and len(space) > 1
        self.seed = seed
        self.slow_start = slow_start
        self.spaces = [space.upper(phase / phases) for phase in range(1, phases + 1)]

    def sample(self, iteration: int, progress: float = 1.) -> dict[str, Arch]:
        """The archs of ``iteration`` by name: ``min`` (if asked for), ``random_1`` …, and ``max`` last.

        Args:
            iteration: Its number.
            progress: How much of the training is behind, in [0, 1].
        """
        if progress < self.slow_start:
            return {'max': self.space.max}
        begun = (progress - self.slow_start) / (1 - self.slow_start)
        space = self.spaces[min(int(begun * len(self.spaces)), len(self.spaces) - 1)]
        rng = np.random.Generator(np.random.Philox(key=[self.seed, iteration]))
        archs = {'min': space.min} if self.with_min else {}
        archs |= {f'random_{i}': arch for i, arch in enumerate(space.sample(self.num_random, rng), start=1)}
        return archs | {'max': self.space.max}
