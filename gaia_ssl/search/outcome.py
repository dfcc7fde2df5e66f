"""What a search leaves in its folder."""

from __future__ import annotations

import json
import math
import os
import pathlib
import shlex
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from gaia_ssl.errors import UserError
from gaia_ssl.file_choice import FileChoice
from gaia_ssl.files import atomic_path, read_json
from gaia_ssl.search.html_report import write_html_report
from gaia_ssl.search.node_scores import NodeScores
from gaia_ssl.search.ranking import make_ranking
from gaia_ssl.search.report import plot_pareto
from gaia_ssl.search.selection import Selection
from gaia_ssl.search.task import measure_for, similarity_label
from gaia_ssl.search.task_scores import TaskScores
from gaia_ssl.search.trust import assess_winners

FILES = ('ranking.csv', 'best.json', 'pareto.png', 'report.html')


def write_outcome(folder: pathlib.Path, selection: Selection, scores: NodeScores, tasks: Sequence[str], measure: str | None,
                  found: dict[str, Any], resolution: int, seed: int) -> dict[str, float]:
    """Write the :data:`FILES`.

    Args:
        folder: Where to.
        selection: What was scored.
        scores: Of all images.
        tasks: The ranking is sorted by the first.
        measure: What they are compared by; None is each task's own.
        found: How all this was found, in plain values, for ``best.json``: checkpoint, data, latency and the settings.
        resolution: Of the FLOPs.
        seed: Of the bootstrap.

    Returns:
        The similarity of each task's and group's winner, e.g. ``{'c2-c5/3-4G': -0.012}``.
    """
    measured = TaskScores(scores, selection.groups, measure)
    ranking = make_ranking(selection.archs(), selection.groups, selection.costs, {task: measured.mean(task) for task in tasks},
                           measured.means)

    def scores_of(task: str, positions: np.ndarray) -> np.ndarray:
        return measured.of(task, ranking.index.to_numpy()[positions])

    with atomic_path(folder / 'ranking.csv') as temporary:
        ranking.to_csv(temporary, index=False)
    winners = assess_winners(ranking, tasks, scores_of, seed=seed)
    best: dict[str, dict] = {}
    for row in winners.to_dict('records'):
        task, group = row.pop('task'), row.pop('group')
        best.setdefault(task, {})[group] = {name: _plain(value) for name, value in row.items()}
    with atomic_path(folder / 'best.json') as temporary:
        temporary.write_text(json.dumps(dict(best=best, search=found), indent=2), encoding='utf-8')
    labels = {task: similarity_label(task, measure_for(task, measure)) for task in tasks}
    plot_pareto(ranking, labels, folder / 'pareto.png', resolution)
    checkpoint = os.fspath(found['checkpoint'])
    latency = f"; latency: {found['latency']}" if found['latency'] else ''
    export = ['gaia-ssl', 'export', checkpoint, '{arch}', '--data', os.fspath(found['data']),
              *FileChoice.of(found.get('files')).options(), '--resolution', str(resolution), 'work_dirs/export']
    write_html_report(
        folder / 'report.html', ranking, labels, winners, resolution, title=f'Subnets of {os.path.basename(checkpoint)}',
        subtitle=f"{len(ranking):,} archs scored on {found['images']:,} images in {found['dtype']}{latency}",
        export_command=' '.join(part if part == '{arch}' else shlex.quote(part) for part in export))
    return {f'{task}/{group}': row['similarity'] for task, groups in best.items() for group, row in groups.items()}


def read_winners(folder: pathlib.Path) -> pd.DataFrame:
    """The winners of ``best.json``, a row a task and group."""
    best = json.loads((folder / 'best.json').read_text(encoding='utf-8'))['best']
    rows = [dict(task=task, group=group, **row) for task, groups in best.items() for group, row in groups.items()]
    return pd.DataFrame([{name: math.nan if value is None else value for name, value in row.items()} for row in rows])


def read_found(folder: pathlib.Path) -> dict[str, Any]:
    """How the winners in ``folder`` were found, as ``best.json`` says; empty where there is none of a search."""
    try:
        found = read_json(folder / 'best.json', 'a best.json', 'search again').get('search')
    except UserError:
        return {}
    return found if isinstance(found, dict) else {}


def _plain(value: Any) -> Any:
    value = value.item() if isinstance(value, np.generic) else value
    return None if isinstance(value, float) and math.isnan(value) else value
