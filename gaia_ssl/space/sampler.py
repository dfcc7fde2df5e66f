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

    Raises:
        UserError: If ``sandwich`` is none.

    Example:
        >>> from gaia_ssl.space import DATA_SPACE
        >>> list(SandwichSampler(DATA_SPACE, 'min+random+max', seed=1).sample(0))
        ['min', 'random_1', 'max']
    """

    def __init__(self, space: ArchSpace, sandwich: str = 'random+random+max', seed: int = 0) -> None:
        parts = sandwich.split('+')
        if parts.count('max') != 1 or parts.count('min') > 1 or not set(parts) <= set(PARTS):
            raise UserError(f"sandwich is '{sandwich}'; join max, any number of random, and min or not by +, "
                            'e.g. random+random+max')
        self.space = space
        self.num_random = parts.count('random') if len(space) > 1 else 0
        self.with_min = 'min' in parts and len(space) > 1
        self.seed = seed

    def sample(self, iteration: int) -> dict[str, Arch]:
        """The archs of ``iteration`` by name: ``min`` (if asked for), ``random_1`` …, and ``max`` last."""
        rng = np.random.Generator(np.random.Philox(key=[self.seed, iteration]))
        archs = {'min': self.space.min} if self.with_min else {}
        archs |= {f'random_{i}': arch for i, arch in enumerate(self.space.sample(self.num_random, rng), start=1)}
        return archs | {'max': self.space.max}
