"""Which archs a search scores."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gaia_ssl.errors import UserError
from gaia_ssl.space import Arch, ArchSpace, FlopsGroups


def select_archs(space: ArchSpace, groups: FlopsGroups, archs: str | int | Sequence[str], flops: np.ndarray,
                 seed: int = 0) -> list[Arch]:
    """The archs to score.

    Args:
        space: The supernet's space.
        groups: The budget groups; none of them may be empty.
        archs: ``'all'`` that lie in a group; a number, to draw so many a group at random without replacement (all of a
            smaller group); or a list of texts, each inside the supernet.
        flops: Multiply-adds of the whole space, in the order of its index.
        seed: Of the draw.

    Raises:
        UserError: If a group holds no arch of the space, or an arch does not fit into the supernet.
    """
    if not isinstance(archs, str | int):
        chosen = [Arch.parse(text) for text in archs]
        if not chosen:
            raise UserError("archs is an empty list; give archs, a number a group, or 'all'")
        for arch in chosen:
            space.check_fits(arch)
        return chosen
    if archs != 'all' and (isinstance(archs, str) or archs < 1):
        raise UserError(f"archs is '{archs}'; give 'all', a number a group (1 or more), or a list of archs")
    position = groups.assign(flops)
    chosen = []
    for group, name in enumerate(groups.names):
        members = np.flatnonzero(position == group)
        if not len(members):
            raise UserError(f'no arch of the space lies in the group {name}: the space has {flops.min() / 1e9:.3f} to '
                            f'{flops.max() / 1e9:.3f} G multiply-adds; change group_edges')
        if archs != 'all' and archs < len(members):
            rng = np.random.Generator(np.random.Philox(key=[seed, group]))
            members = np.sort(rng.choice(members, size=archs, replace=False))
        chosen += [space[index] for index in members]
    return chosen
