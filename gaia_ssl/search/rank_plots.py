"""Pictures of how rankings agree with scores, and with each other."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

import matplotlib
import pandas as pd

from gaia_ssl.evaluation.rank_correlation import ALL, WITHIN
from gaia_ssl.files import atomic_path
from gaia_ssl.search.task import similarity_label

matplotlib.use('Agg')
from matplotlib import pyplot as plt  # noqa: E402

FLOPS_LABEL = 'multiply-adds (G)'


@matplotlib.rc_context({'text.parse_math': False})  # names may hold dollars
def plot_scores(table: pd.DataFrame, tasks: Sequence[str], scores: Mapping[str, str], correlations: pd.DataFrame,
                path: str | os.PathLike) -> None:
    """Draw score over similarity, a panel a task, and over FLOPs; a row a score; coloured by FLOPs.

    Args:
        table: ``flops``, and a column each task and score.
        tasks: Columns.
        scores: Column -> what it is.
        correlations: Of :func:`~gaia_ssl.evaluation.rank_correlation.correlate`, of all ``scores``.
        path: The picture.
    """
    gflops = table['flops'] / 1e9
    panels = [(task, f'task {task}', table[task], similarity_label(task)) for task in tasks]
    panels.append(('flops', 'FLOPs alone', gflops, FLOPS_LABEL))
    figure, axes = plt.subplots(len(scores), len(panels), figsize=(4.4 * len(panels) + 1, 4.0 * len(scores) + 0.5),
                                squeeze=False, layout='constrained')
    for row, (score, label) in zip(axes, scores.items(), strict=True):
        for axis, (predictor, name, values, values_label) in zip(row, panels, strict=True):
            points = axis.scatter(values, table[score], c=gflops, s=24, cmap='viridis')
            overall, within = (_rho(correlations, score, predictor, scope) for scope in (ALL, WITHIN))
            axis.set_title(f'{name}: ρ = {overall}, within groups {within}', fontsize='medium')
            axis.set_xlabel(values_label)
            axis.set_ylabel(label)
            axis.locator_params(axis='x', nbins=5)
            axis.grid(alpha=0.3)
    figure.colorbar(points, ax=axes, label=FLOPS_LABEL, fraction=0.05, pad=0.01, aspect=40)
    figure.suptitle(f"Similarity to the teacher against {', '.join(scores.values())}: {len(table):,} subnets")
    _save(figure, path)


@matplotlib.rc_context({'text.parse_math': False})
def plot_domains(table: pd.DataFrame, tasks: Sequence[str], names: tuple[str, str], winners: pd.DataFrame,
                 correlations: pd.DataFrame, path: str | os.PathLike) -> None:
    """Draw similarity on images B over similarity on images A, a panel a task, with each group's winners.

    Args:
        table: As :func:`~gaia_ssl.search.domains.join_rankings` makes it.
        tasks: To draw.
        names: Of A and B.
        winners: As :func:`~gaia_ssl.search.domains.compare_winners` makes it.
        correlations: As :func:`~gaia_ssl.search.domains.agreement` makes it.
        path: The picture.
    """
    figure, axes = plt.subplots(1, len(tasks), figsize=(5.2 * len(tasks) + 1, 4.8), squeeze=False, layout='constrained')
    rows = table.set_index('arch')
    for axis, task in zip(axes[0], tasks, strict=True):
        a, b = (rows[f'{task} on {name}'] for name in names)
        points = axis.scatter(a, b, c=rows['flops'] / 1e9, s=min(24, max(1, 30000 / len(rows))), cmap='viridis')
        chosen = winners[winners['task'] == task]
        for side, name, marker in (('a', names[0], '^'), ('b', names[1], 'v')):
            archs = chosen[f'winner_{side}']
            axis.scatter(a[archs], b[archs], s=70, marker=marker, facecolors='none', edgecolors='tab:red',
                         label=f'best of its group on {name}')
        overall, within = (_rho(correlations, f'{task} on {names[0]}', f'{task} on {names[1]}', scope)
                           for scope in (ALL, WITHIN))
        axis.set_title(f'task {task}: ρ = {overall}, within groups {within}', fontsize='medium')
        axis.set_xlabel(f'on {names[0]}: {similarity_label(task)}')
        axis.set_ylabel(f'on {names[1]}: {similarity_label(task)}')
        axis.locator_params(axis='x', nbins=6)
        axis.grid(alpha=0.3)
        axis.legend(loc='best', fontsize='small')
    figure.colorbar(points, ax=axes, label=FLOPS_LABEL, fraction=0.05, pad=0.01, aspect=40)
    figure.suptitle(f'Similarity to the teacher on {names[0]} and on {names[1]}: {len(table):,} subnets')
    _save(figure, path)


def _rho(correlations: pd.DataFrame, score: str, predictor: str, scope: str) -> str:
    chosen = (correlations[['score', 'predictor', 'scope']] == (score, predictor, scope)).all(axis=1)
    value = correlations.loc[chosen, 'spearman'].item()
    return 'undefined' if pd.isna(value) else f'{value:.2f}'


def _save(figure: plt.Figure, path: str | os.PathLike) -> None:
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=100)
    plt.close(figure)
