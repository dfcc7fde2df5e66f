"""A ranking as one page to explore in a browser: a self-contained HTML file that asks the network for nothing."""

from __future__ import annotations

import base64
import hashlib
import html
import importlib.resources
import json
import os
import re
import string
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from gaia_ssl.files import atomic_path
from gaia_ssl.space.arch_space import COLUMNS
from gaia_ssl.terminal import plain

MISSING = 2**32 - 1
"""The level of a value that is not known."""

_USES = {'z': 'classification', 'c5': 'Faster R-CNN C4', 'c4-c5': 'segmentation', 'c2-c5': 'FPN detectors'}
_WINNER_NUMBERS = ('flops', 'params', 'latency_ms', 'similarity', 'low', 'high', 'contenders', 'expected_regret',
                   'half_agreement', 'most_flops_similarity', 'random_similarity')


def write_html_report(path: str | os.PathLike, ranking: pd.DataFrame, tasks: Mapping[str, str], winners: pd.DataFrame,
                      resolution: int, title: str, subtitle: str, export_command: str,
                      course: Sequence[Mapping[str, Any]] = (), doubts: Mapping[str, str] | None = None) -> None:
    """Write the page.

    Args:
        path: The HTML file.
        ranking: As :func:`gaia_ssl.search.ranking.make_ranking` makes it; a column ``latency_ms`` is one more cost.
        tasks: The tasks to offer, columns of ``ranking``, and what the similarity of each is.
        winners: A row a task and group: ``task``, ``group``, ``arch``, ``flops``, ``params``, optionally ``latency_ms``,
            ``similarity`` with its 95 % interval ``low`` and ``high``, ``contenders`` (how many archs may be the best), the
            ``cheapest_contender`` and ``fastest_contender`` of these, ``expected_regret``, ``half_agreement``
            (Spearman between halves of the batches), ``most_flops_similarity``, ``random_similarity``. Numbers may be NaN.
        resolution: Image side of the FLOPs.
        title: Heading.
        subtitle: Line below it.
        export_command: The command that exports a subnet, with ``{arch}`` in its place.
        course: Of a race, each round's ``images``, ``archs`` and ``share`` of the full search's multiply-adds, up to its end.
        doubts: Task -> a sentence on what is not known of choosing for it; empty or missing if nothing is to be said.
    """
    page = importlib.resources.files('gaia_ssl.search') / 'report_page'
    template, style, *scripts = ((page / name).read_text(encoding='utf-8')
                                 for name in ('page.html', 'page.css', 'chart.js', 'data.js', 'page.js'))
    script = '\n'.join(scripts)
    data = json.dumps(report_data(ranking, tasks, winners, resolution, export_command, course, doubts), allow_nan=False,
                      separators=(',', ':'))
    text = string.Template(template).substitute(
        title=html.escape(plain(title)),
        subtitle=html.escape(plain(subtitle)),
        style=style,
        script=script,
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        data=data.replace('<', '\\u003c'),
    )
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding='utf-8', newline='\n')


def report_data(ranking: pd.DataFrame, tasks: Mapping[str, str], winners: pd.DataFrame, resolution: int,
                export_command: str, course: Sequence[Mapping[str, Any]] = (), doubts: Mapping[str, str] | None = None) -> dict:
    """What the page embeds, as JSON takes it: columns packed, the archs as positions in each dimension's choices."""
    numbers = np.array([re.split('[-x]', arch) for arch in ranking['arch']], dtype=np.int64).reshape(-1, len(COLUMNS))
    positions = {arch: index for index, arch in enumerate(ranking['arch'])}
    return dict(
        count=len(ranking),
        resolution=resolution,
        exportCommand=export_command,
        dimensions=[_pack_choices(name, column) for name, column in zip(COLUMNS, numbers.T, strict=True)],
        costs=[dict(name=name, **pack(ranking[name])) for name in ('flops', 'params', 'latency_ms') if name in ranking],
        tasks=[dict(name=task, use=_USES.get(task, ''), title=title, doubt=(doubts or {}).get(task, ''), **pack(ranking[task]))
               for task, title in tasks.items()],
        course=[dict(row) for row in course],
        winners=[dict(task=row['task'], group=row['group'], arch=row['arch'], index=positions.get(row['arch'], -1),
                      **{name: positions.get(row.get(name), -1) for name in ('cheapest_contender', 'fastest_contender')},
                      **{name: _number(row.get(name)) for name in _WINNER_NUMBERS})
                 for row in winners.to_dict('records')],
    )


def pack(values: pd.Series | np.ndarray) -> dict:
    """Four bytes a value: ``low + step * level``. Exact for whole numbers, otherwise to 2**-32 of the range.

    Returns:
        ``low``, ``step`` and ``data``: the levels as little-endian uint32 in base64; :data:`MISSING` stands for what is
        not finite.
    """
    values = np.asarray(values, dtype=np.float64)
    known = np.isfinite(values)
    levels = np.full(len(values), MISSING, dtype='<u4')
    if not known.any():
        return dict(low=0.0, step=0.0, data=_base64(levels))
    low = values[known].min()
    offsets = values[known] - low
    step = float(np.gcd.reduce(offsets.astype(np.int64))) if (values[known] % 1 == 0).all() else 0.0
    if offsets.max() > step * (MISSING - 1):
        step = offsets.max() / (MISSING - 1)
    levels[known] = np.rint(offsets / (step or 1.0))
    return dict(low=float(low), step=float(step), data=_base64(levels))


def _pack_choices(name: str, column: np.ndarray) -> dict:
    choices, digits = np.unique(column, return_inverse=True)
    return dict(name=name, choices=choices.tolist(), data=_base64(digits.astype('<u2' if len(choices) > 256 else 'u1')))


def _base64(array: np.ndarray) -> str:
    return base64.b64encode(array.tobytes()).decode()


def _number(value: Any) -> float | None:
    return None if value is None or not np.isfinite(value) else float(value)
