"""Pictures of a ranking."""

from __future__ import annotations

import os
from collections.abc import Mapping

import matplotlib
import pandas as pd

from gaia_ssl.files import atomic_path
from gaia_ssl.search.ranking import pareto_front, winners

matplotlib.use('Agg')
from matplotlib import pyplot as plt  # noqa: E402


def plot_pareto(ranking: pd.DataFrame, tasks: Mapping[str, str], path: str | os.PathLike, resolution: int = 224) -> None:
    """Draw similarity over FLOPs, a panel a task: all scored archs, the Pareto front, and each group's winner.

    Args:
        ranking: As :func:`~gaia_ssl.search.ranking.make_ranking` makes it.
        tasks: Task -> what its similarity is.
        path: The picture.
        resolution: Image side of the FLOPs.
    """
    figure, axes = plt.subplots(1, len(tasks), figsize=(6.4 * len(tasks), 4.8), squeeze=False, layout='constrained')
    best = winners(ranking, list(tasks))
    for axis, (task, label) in zip(axes[0], tasks.items(), strict=True):
        gflops = ranking['flops'].to_numpy() / 1e9
        front = pareto_front(gflops, ranking[task].to_numpy())
        chosen = best[best['task'] == task]
        axis.scatter(gflops, ranking[task], s=min(12, max(1, 30000 / len(ranking))), alpha=0.5, color='0.6',
                     label=f'{len(ranking):,} subnets scored')
        axis.plot(gflops[front], ranking[task].to_numpy()[front], color='tab:blue', drawstyle='steps-post',
                  label='Pareto front')
        axis.scatter(chosen['flops'] / 1e9, chosen[task], s=48, marker='*', color='tab:red', zorder=3,
                     label='best of its group')
        axis.set_title(f'task {task}')
        axis.set_xlabel(f'multiply-adds at {resolution} px (G)')
        axis.set_ylabel(label)
        axis.grid(alpha=0.3)
        axis.legend(loc='lower right')
    figure.suptitle('Similarity of subnets to the teacher')
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=120)
    plt.close(figure)
