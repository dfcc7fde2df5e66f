"""The same search of several checkpoints, epochs or seeds: do they agree, and what would one's winner cost under the others?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from rich.box import SIMPLE
from rich.table import Table


def place_archs(rankings: Mapping[str, pd.DataFrame], tasks: Sequence[str]) -> pd.DataFrame:
    """The place of each arch within its group by each search.

    Args:
        rankings: Name of a search -> its ranking; all of the same archs, in the same groups.
        tasks: Columns of them.

    Returns:
        A row a task and arch that lies in a group: ``task``, ``group``, ``arch``, ``flops``; for each name ``place on NAME``
        (1 is best) and ``lost on NAME``, by how much its similarity is less than the best one's there; and ``consensus``, the
        mean place. By task and group, best consensus first, of equals the cheaper one.
    """
    parts = []
    for task in tasks:
        part: pd.DataFrame | None = None
        for name, ranking in rankings.items():
            similarity = ranking[ranking['group'] != ''].groupby('group')[task]
            own = ranking[ranking['group'] != ''][['group', 'arch', 'flops']].assign(**{
                f'place on {name}': similarity.rank(ascending=False, method='min').astype(int),
                f'lost on {name}': similarity.transform('max') - ranking[task]})
            part = own if part is None else part.merge(own.drop(columns=['group', 'flops']), on='arch')
        assert part is not None
        part.insert(0, 'task', task)
        part['consensus'] = part[[f'place on {name}' for name in rankings]].mean(axis=1)
        parts.append(part.sort_values(['group', 'consensus', 'flops'], kind='stable'))
    return pd.concat(parts, ignore_index=True)


def agreements(places: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """Spearman's correlation of each two searches: ``task``, ``a``, ``b``, ``spearman``, mean over groups by their size.

    Groups of less than three archs, or of equal ones, do not count.
    """
    rows = []
    for task, part in places.groupby('task', sort=False):
        for first, a in enumerate(names):
            for b in names[first + 1:]:
                groups = [(len(group), group[f'lost on {a}'].corr(group[f'lost on {b}'], method='spearman'))
                          for _, group in part.groupby('group') if len(group) > 2]
                known = [(size, value) for size, value in groups if pd.notna(value)]
                total = sum(size for size, _ in known)
                rows.append(dict(task=task, a=a, b=b, spearman=sum(size * value for size, value in known) / total
                                 if total else float('nan')))
    return pd.DataFrame(rows)


def winners_among(places: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """The winner of each search, and the arch of the best consensus, of each task and group; with their places elsewhere.

    Returns:
        The columns of :func:`place_archs`, and ``best_of``: a name, or ``consensus``.
    """
    parts = []
    for _, group in places.groupby(['task', 'group'], sort=False):
        parts += [group.nsmallest(1, f'place on {name}').assign(best_of=name) for name in names]
        parts.append(group.head(1).assign(best_of='consensus'))
    return pd.concat(parts, ignore_index=True)


def stability_tables(winners: pd.DataFrame, agreement: pd.DataFrame, names: Sequence[str]) -> list[Table]:
    """Both for the terminal."""
    style: dict[str, Any] = dict(box=SIMPLE, padding=(0, 1, 0, 0), show_edge=False)
    best = Table(title='Best subnet of each budget group, and its place among the others by each checkpoint', **style)
    for column in ('task', 'group', 'best of', 'arch'):
        best.add_column(column, overflow='fold')
    for name in names:
        best.add_column(name, justify='right', overflow='fold')
    for row in winners.to_dict('records'):
        best.add_row(row['task'], row['group'], row['best_of'], row['arch'],
                     *[f"{row[f'place on {name}']} (-{row[f'lost on {name}']:.2g})" for name in names])
    rank = Table(title='Rank correlation (Spearman, within groups)', **style)
    for column in ('task', 'checkpoint', 'and', 'Spearman'):
        rank.add_column(column, overflow='fold')
    for row in agreement.to_dict('records'):
        rank.add_row(row['task'], row['a'], row['b'], '-' if pd.isna(row['spearman']) else f"{row['spearman']:.2f}")
    return [best, rank]
