"""What a search leaves in its folder."""

from __future__ import annotations

import dataclasses
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
from gaia_ssl.search.race import Race
from gaia_ssl.search.ranking import make_ranking
from gaia_ssl.search.report import plot_pareto
from gaia_ssl.search.scored import Scored
from gaia_ssl.search.task import doubt_of, measure_for, similarity_label
from gaia_ssl.search.task_scores import Scales, TaskScores
from gaia_ssl.search.trust import COLUMNS, assess_winners

FILES = ('ranking.csv', 'best.json', 'pareto.png', 'report.html')


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What a search found.

    Attributes:
        scored: The archs; each group is in one of them.
        scales: Of the quantities between images.
        race: The race by which they were left, if there was one.
        course: Of each round of it: ``images``, ``archs``, and ``share``, up to its end, of a full search's multiply-adds.
    """

    scored: Sequence[Scored]
    scales: Scales
    race: Race | None = None
    course: Sequence[dict[str, Any]] = ()


def write_outcome(folder: pathlib.Path, outcome: Outcome, tasks: Sequence[str], measure: str | None, found: dict[str, Any],
                  resolution: int, seed: int) -> dict[str, float]:
    """Write the :data:`FILES`.

    Args:
        folder: Where to.
        outcome: Of the search.
        tasks: The ranking is sorted by the first.
        measure: What they are compared by; None is each task's own.
        found: How all this was found, in plain values, for ``best.json``: checkpoint, data, latency and the settings.
        resolution: Of the FLOPs.
        seed: Of the tests.

    Returns:
        The similarity of each task's and group's winner, e.g. ``{'c2-c5/3-4G': -0.012}``.
    """
    measured = [TaskScores(part.sums, part.sizes, measure, outcome.scales) for part in outcome.scored]
    tables = [make_ranking(part.selection.archs(), part.selection.groups, part.selection.costs,
                           {task: scores.mean(task) for task in tasks},
                           scores.means).assign(images=part.sizes.sum(), part=number)
              for number, (part, scores) in enumerate(zip(outcome.scored, measured, strict=True))]
    ranking = pd.concat(tables).sort_values(tasks[0], ascending=False, kind='stable')
    part = ranking.pop('part').to_numpy()

    def scores_of(task: str, positions: np.ndarray) -> np.ndarray:
        return measured[part[positions[0]]].of(task, ranking.index.to_numpy()[positions])

    entered, alpha = None, None
    if outcome.race:
        selection, alpha = outcome.race.entered, outcome.race.alpha
        found = found | dict(course=list(outcome.course))
        entered = pd.DataFrame(dict(arch=list(map(str, selection.archs())), group=selection.groups,
                                    flops=selection.costs['flops']))
    with atomic_path(folder / 'ranking.csv') as temporary:
        ranking.to_csv(temporary, index=False)
    winners = assess_winners(ranking, tasks, scores_of, seed, entered=entered, alpha=alpha)
    best: dict[str, dict] = {}
    for row in winners.to_dict('records'):
        task, group = row.pop('task'), row.pop('group')
        best.setdefault(task, {})[group] = {name: _plain(value) for name, value in row.items()}
    with atomic_path(folder / 'best.json') as temporary:
        temporary.write_text(json.dumps(dict(best=best, search=found), indent=2), encoding='utf-8')
    labels = {task: similarity_label(task, measure_for(task, measure)) for task in tasks}
    plot_pareto(ranking, labels, folder / 'pareto.png', resolution)
    checkpoint = os.fspath(found['checkpoint'])
    left = (f'the {len(ranking):,} archs of {len(entered):,} that were left of a race' if entered is not None else
            f'{len(ranking):,} archs scored')
    latency = f"; latency: {found['latency']}" if found['latency'] else ''
    export = ['gaia-ssl', 'export', checkpoint, '{arch}', '--data', os.fspath(found['data']),
              *FileChoice.of(found.get('files')).options(), '--resolution', str(resolution), 'work_dirs/export']
    write_html_report(
        folder / 'report.html', ranking, labels, winners, resolution, title=f'Subnets of {os.path.basename(checkpoint)}',
        subtitle=f"{left} on {found['images']:,} images in {found['dtype']}{latency}", course=outcome.course,
        doubts={task: doubt_of(task, measure) for task in tasks},
        export_command=' '.join(part if part == '{arch}' else shlex.quote(part) for part in export))
    return {f'{task}/{group}': row['similarity'] for task, groups in best.items() for group, row in groups.items()}


def read_winners(folder: pathlib.Path) -> pd.DataFrame:
    """The winners of ``best.json``, a row a task and group."""
    best = json.loads((folder / 'best.json').read_text(encoding='utf-8'))['best']
    rows = [dict(task=task, group=group, **row) for task, groups in best.items() for group, row in groups.items()]
    winners = [{name: math.nan if value is None else value for name, value in row.items()} for row in rows]
    return pd.DataFrame(winners, columns=None if winners else COLUMNS)


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
