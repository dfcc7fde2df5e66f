"""The table of scored archs: ranking, winners, Pareto front."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from gaia_ssl.errors import UserError
from gaia_ssl.evaluation.arch_table import read_arch_table
from gaia_ssl.search.task import TASKS
from gaia_ssl.space import Arch
from gaia_ssl.terminal import one_line


def make_ranking(archs: Sequence[Arch], groups: np.ndarray, costs: Mapping[str, np.ndarray],
                 tasks: Mapping[str, np.ndarray], quantities: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """The ranking, best first by the first task.

    Args:
        archs: A archs.
        groups: Name of each arch's group, or empty; ``(A,)``.
        costs: Columns of costs, each ``(A,)``.
        tasks: Each task's similarity, mean over the images; ``(A,)``.
        quantities: What the similarities are made of, likewise.

    Returns:
        A row an arch: ``arch`` (text), ``group``, the costs, a column a task, and one for each quantity that is no task
        itself. The index is the arch's position in ``archs``.
    """
    table = pd.DataFrame(dict(arch=[str(arch) for arch in archs], group=groups, **costs))
    for name, values in [*tasks.items(), *((name, values) for name, values in quantities.items() if name not in tasks)]:
        table[name] = values
    return table.sort_values(next(iter(tasks)), ascending=False, kind='stable')


def read_ranking(path: str | os.PathLike, tasks: Sequence[str] | None = None) -> pd.DataFrame:
    """A ``ranking.csv``: ``arch``, ``group``, ``flops``, ``params`` and the similarities of ``tasks`` (default: all in it).

    Raises:
        UserError: If it is none, or a task is not in it.
    """
    table = read_arch_table(path, ['flops', 'params'], ['group'], optional=list(TASKS))
    known = [task for task in TASKS if task in table]
    if not known:
        raise UserError(f"{path}: has no column of a task ({', '.join(TASKS)}); give what tools/search.py wrote")
    if missing := [task for task in tasks or () if task not in known]:
        raise UserError(f"{path}: has no column '{missing[0]}'; it was searched for {', '.join(known)}")
    for line, group in enumerate(table['group'], start=2):
        if group.startswith(('=', '+', '-', '@')) or group != one_line(group):  # a spreadsheet would compute the former
            raise UserError(f"{path}, line {line}: '{group}' is not the name of a group; give what tools/search.py wrote")
    table = table.astype(dict(flops=np.int64, params=np.int64))
    return table[['arch', 'group', 'flops', 'params', *(tasks or known)]]


def winners(ranking: pd.DataFrame, tasks: Sequence[str]) -> pd.DataFrame:
    """The best arch of each group for each task: the ranking's columns and ``task``, by task and rising FLOPs."""
    grouped = ranking[ranking['group'] != '']
    best = [grouped.loc[grouped.groupby('group')[task].idxmax()].sort_values('flops').assign(task=task) for task in tasks]
    return pd.concat(best, ignore_index=True)


def pareto_front(cost: np.ndarray, score: np.ndarray) -> np.ndarray:
    """Indices, by rising cost, of the archs that no arch of the same or less cost matches or beats."""
    order = np.lexsort((-np.asarray(score), cost))
    best = np.maximum.accumulate(np.asarray(score)[order])
    return order[np.r_[True, best[1:] > best[:-1]]]
