"""The same subnets searched on images of two domains: does it matter which (the paper's Table 10)?"""

from __future__ import annotations

import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from gaia_ssl.errors import UserError
from gaia_ssl.evaluation.rank_correlation import MIN_ARCHS, correlate
from gaia_ssl.search.ranking import winners
from gaia_ssl.terminal import one_line

WINNER_COLUMNS = ('task', 'group', 'archs', 'winner_a', 'winner_b', 'same', 'rank_of_b', 'similarity_a', 'similarity_b',
                  'score_a', 'score_b')


def distinct_names(a: pathlib.Path, b: pathlib.Path) -> tuple[str, str]:
    """Short names of two folders, by as many of their last parts as tell them apart, e.g. ``cifar10-train``."""
    parts = [path.resolve().parts[1:] for path in (a, b)]
    count = next((n for n in range(1, max(map(len, parts))) if parts[0][-n:] != parts[1][-n:]), max(map(len, parts)))
    first, second = (one_line('-'.join(each[-count:])) for each in parts)
    return first, second


def join_rankings(a: pd.DataFrame, b: pd.DataFrame, tasks: Sequence[str], names: tuple[str, str]) -> pd.DataFrame:
    """The archs that both rankings hold: ``arch``, ``group``, ``flops``, ``params``, and ``TASK on NAME`` for both names.

    Groups are those of ``a``.

    Raises:
        UserError: If fewer than three archs are in both, or their FLOPs differ, so that the rankings are not of one supernet
            and resolution.
    """
    sides = [table.rename(columns={task: f'{task} on {name}' for task in tasks})
             for table, name in zip((a, b), names, strict=True)]
    both = sides[0].merge(sides[1].drop(columns=['group', 'params']), on='arch', suffixes=('', '_b'))
    if len(both) < MIN_ARCHS:
        raise UserError(f'{len(both)} archs are in both rankings, of {len(a)} and {len(b)}; search the same archs on both, '
                        f'{MIN_ARCHS} or more')
    if (both['flops'] != both['flops_b']).any():
        arch = both['arch'][int(np.argmax(both['flops'] != both['flops_b']))]
        raise UserError(f'the rankings differ in the FLOPs of {arch}; search both with one supernet and one resolution')
    return both[['arch', 'group', 'flops', 'params', *(f'{task} on {name}' for task in tasks for name in names)]]


def agreement(table: pd.DataFrame, tasks: Sequence[str], names: tuple[str, str], **bootstrap: Any) -> pd.DataFrame:
    """How the similarity on B, and FLOPs and params for comparison, correlates with that on A: :func:`correlate` a task."""
    a, b = names
    return pd.concat([correlate(table, [f'{task} on {b}', 'flops', 'params'], f'{task} on {a}', **bootstrap)
                      for task in tasks], ignore_index=True)


def against_scores(table: pd.DataFrame, tasks: Sequence[str], names: tuple[str, str], **bootstrap: Any) -> pd.DataFrame:
    """How both similarities of each task correlate with ``score``: :func:`correlate` with B's as the baseline of A's.

    The gain of a row ``TASK on A`` is thus what searching on A's own images is worth, paired. FLOPs and params follow, each
    its own baseline.
    """
    a, b = names
    parts = [correlate(table, [f'{task} on {a}', f'{task} on {b}'], 'score', baseline=f'{task} on {b}', **bootstrap)
             for task in tasks]
    parts += [correlate(table, [size], 'score', baseline=size, **bootstrap) for size in ('flops', 'params')]
    return pd.concat(parts, ignore_index=True)


def compare_winners(table: pd.DataFrame, tasks: Sequence[str], names: tuple[str, str]) -> pd.DataFrame:
    """The winners of each task and group on A and on B.

    Args:
        table: Of :func:`join_rankings`; optionally with a column ``score``, NaN where it is not known.
        tasks: To compare.
        names: Of A and B.

    Returns:
        A row a task and group: ``task``, ``group``, ``archs`` (members), ``winner_a``, ``winner_b``, ``same``;
        ``rank_of_b``, the place (1 is best) that B's winner has on A; ``similarity_a`` and ``similarity_b``, of either
        winner, on A; and with scores ``score_a`` and ``score_b``.
    """
    rows, records = table.set_index('arch'), []
    for task in tasks:
        on_a = f'{task} on {names[0]}'
        best_a, best_b = (winners(table, [f'{task} on {name}']) for name in names)
        for group, a, b in zip(best_a['group'], best_a['arch'], best_b.set_index('group').loc[best_a['group'], 'arch'],
                               strict=True):
            members = rows.loc[rows['group'] == group, on_a]
            record = dict(task=task, group=group, archs=len(members), winner_a=a, winner_b=b, same=a == b,
                          rank_of_b=int((members > members[b]).sum()) + 1, similarity_a=members[a], similarity_b=members[b])
            if 'score' in rows:
                record |= dict(score_a=rows.loc[a, 'score'], score_b=rows.loc[b, 'score'])
            records.append(record)
    return pd.DataFrame(records, columns=[name for name in WINNER_COLUMNS if 'score' in rows or not name.startswith('score')])
