"""The table of scored archs: ranking, winners, Pareto front."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from gaia_ssl.search.task import TASKS
from gaia_ssl.space import Arch


def make_ranking(archs: Sequence[Arch], groups: np.ndarray, costs: Mapping[str, np.ndarray],
                 scores: Mapping[str, np.ndarray], tasks: Sequence[str]) -> pd.DataFrame:
    """The ranking, best first by the first task.

    Args:
        archs: A archs.
        groups: Name of each arch's group, or empty; ``(A,)``.
        costs: Columns of costs, each ``(A,)``.
        scores: Each feature's similarity, mean over the images; ``(A,)``.
        tasks: Tasks to add up from the features.

    Returns:
        A row an arch: ``arch`` (text), ``group``, the costs, a column a task, and one for each feature that is no task
        itself. The index is the arch's position in ``archs``.
    """
    table = pd.DataFrame(dict(arch=[str(arch) for arch in archs], group=groups, **costs))
    for task in tasks:
        table[task] = np.mean([scores[feature] for feature in TASKS[task]], axis=0)
    for feature in scores:
        if feature not in tasks:
            table[feature] = scores[feature]
    return table.sort_values(tasks[0], ascending=False, kind='stable')


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
