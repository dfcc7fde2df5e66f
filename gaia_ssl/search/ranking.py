"""The table of scored archs: ranking, winners, Pareto front."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from rich.box import SIMPLE
from rich.table import Table

from gaia_ssl.search.task import TASKS
from gaia_ssl.space import Arch, FlopsGroups


def make_ranking(archs: Sequence[Arch], scores: np.ndarray, features: Sequence[str], tasks: Sequence[str],
                 groups: FlopsGroups, resolution: int = 224, stem_kernel: int = 7) -> pd.DataFrame:
    """The ranking, best first by the first task.

    Args:
        archs: A archs.
        scores: ``(A, F, N)``: similarity a feature and image.
        features: The F features.
        tasks: Tasks to add up from the features.
        groups: Budget groups.
        resolution: Image side for the FLOPs.
        stem_kernel: The supernet's.

    Returns:
        A row an arch: ``arch`` (text), ``group`` (name, or empty), ``flops`` (multiply-adds), ``params``, a column a task,
        and a column for each feature that is no task itself.
    """
    mean = pd.DataFrame(scores.mean(axis=2, dtype=np.float64), columns=list(features))
    flops = np.array([arch.flops(resolution, stem_kernel) for arch in archs])
    names = np.array([*groups.names, ''])  # position -1, outside all groups, is the last one
    table = pd.DataFrame(dict(
        arch=[str(arch) for arch in archs],
        group=names[groups.assign(flops)],
        flops=flops,
        params=[arch.params(stem_kernel) for arch in archs],
    ))
    for task in tasks:
        table[task] = mean[list(TASKS[task])].mean(axis=1)
    for feature in features:
        if feature not in tasks:
            table[feature] = mean[feature]
    return table.sort_values(tasks[0], ascending=False, kind='stable', ignore_index=True)


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


def winners_table(ranking: pd.DataFrame, tasks: Sequence[str]) -> Table:
    """The winners as a table for the terminal."""
    table = Table(title=f'Best subnet of each budget group, of {len(ranking)} scored', box=SIMPLE)
    for column, justify in (('task', 'left'), ('group', 'left'), ('arch', 'left'), ('GFLOPs', 'right'), ('params', 'right'),
                            ('similarity', 'right')):
        table.add_column(column, justify=justify, no_wrap=True)
    for row in winners(ranking, tasks).to_dict('records'):
        table.add_row(row['task'], row['group'], row['arch'], f"{row['flops'] / 1e9:.3g}", f"{row['params'] / 1e6:.3g} M",
                      f"{row[row['task']]:.4f}")
    return table
