"""Which archs a search scores, what each costs, and which group it competes in."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from gaia_ssl.errors import UserError
from gaia_ssl.space import Arch, ArchSpace, ArchTree, Budget, FlopsGroups, LatencyTable, check_feasible


@dataclasses.dataclass(frozen=True)
class Selection:
    """Archs to score; the arrays follow the rows of the tree.

    Attributes:
        tree: The archs.
        costs: ``flops`` (multiply-adds), ``params`` and, if a table was given, ``latency_ms``; each ``(R,)``.
        groups: Name of each arch's group, empty outside all groups; ``(R,)``.
    """

    tree: ArchTree
    costs: dict[str, np.ndarray]
    groups: np.ndarray

    def archs(self) -> list[Arch]:
        """The archs in the order of the rows."""
        return [Arch.from_numbers(row) for row in self.tree.numbers]

    def take(self, rows: np.ndarray) -> Selection:
        """Those in these rows, which ascend."""
        tree = ArchTree([Arch.from_numbers(row) for row in self.tree.numbers[rows]])
        return Selection(tree, {name: values[rows] for name, values in self.costs.items()}, self.groups[rows])


def select_archs(space: ArchSpace,
                 archs: str | int | Sequence[str] = 'all',
                 groups: FlopsGroups | None = None,
                 budgets: Sequence[Budget] = (),
                 latency: LatencyTable | None = None,
                 resolution: int = 224,
                 stem_kernel: int = 7,
                 seed: int = 0,
                 in_channels: int = 3) -> Selection:
    """Choose the archs to score.

    Args:
        space: The supernet's space.
        archs: ``'all'``; a number, to draw so many of each group at random without replacement (all of a smaller
            group); or a list of texts, each inside the supernet.
        groups: Budget groups, none of them empty. Without any: the archs within ``budgets`` are one group, or without
            budgets, the groups are :meth:`FlopsGroups.of`.
        budgets: Only archs within all of them are chosen.
        latency: Gives ``latency_ms``.
        resolution: Image side for the multiply-adds.
        stem_kernel: The supernet's.
        seed: Of the draw.
        in_channels: Of the images.

    Raises:
        UserError: If a group or the budgets hold no arch, or an arch does not fit into the supernet.
    """
    if isinstance(archs, str | int):
        if archs != 'all' and (isinstance(archs, str) or archs < 1):
            raise UserError(f"archs is '{archs}'; give 'all', a number a group (1 or more), or a list of archs")
        candidates: ArchSpace | list[Arch] = space
        table = space.costs(resolution, stem_kernel, in_channels)
        costs = {name: table[name] for name in ('flops', 'params')}
        if latency is not None:
            costs['latency_ms'] = latency.of_space(space, stem_kernel)
    else:
        candidates = sorted({Arch.parse(text) for text in archs})
        if not candidates:
            raise UserError("archs is an empty list; give archs, a number a group, or 'all'")
        for arch in candidates:
            space.check_fits(arch)
        costs = dict(flops=np.array([arch.flops(resolution, stem_kernel, in_channels) for arch in candidates]),
                     params=np.array([arch.params(stem_kernel, in_channels=in_channels) for arch in candidates]))
        if latency is not None:
            latency.check_stem(stem_kernel)
            costs['latency_ms'] = np.array([latency.of(arch) for arch in candidates])
    chosen = check_feasible(budgets, costs, candidates)

    if groups is None and budgets:
        names = np.where(chosen, ', '.join(map(str, budgets)), '')
    else:
        given, groups = groups is not None, groups or FlopsGroups.of(costs['flops'])
        names = np.array([*groups.names, ''])[groups.assign(costs['flops'])]  # -1, outside all groups, is the last
        if given and isinstance(archs, str | int):
            _check_groups(groups, names, chosen, costs['flops'])
    if isinstance(archs, int):
        chosen = _draw(names, chosen, archs, seed)

    rows = np.flatnonzero(chosen)
    tree = ArchTree([candidates[int(row)] for row in rows])
    rows = rows[np.argsort(tree.rows)]
    return Selection(tree, {name: values[rows] for name, values in costs.items()}, names[rows])


def _check_groups(groups: FlopsGroups, names: np.ndarray, chosen: np.ndarray, flops: np.ndarray) -> None:
    for name in groups.names:
        if not (chosen & (names == name)).any():
            raise UserError(f'no arch to score lies in the group {name}: the space has {flops.min() / 1e9:.3f} to '
                            f'{flops.max() / 1e9:.3f} G multiply-adds; change group_edges')


def _draw(names: np.ndarray, chosen: np.ndarray, number: int, seed: int) -> np.ndarray:
    drawn = np.zeros_like(chosen)
    for group, name in enumerate(dict.fromkeys(names[chosen & (names != '')])):
        members = np.flatnonzero(chosen & (names == name))
        rng = np.random.Generator(np.random.Philox(key=[seed, group]))
        drawn[rng.permutation(members)[:number]] = True
    return drawn
