"""Rank correlations for the terminal and on disk."""

from __future__ import annotations

import json
import math
import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd
from rich.box import SIMPLE
from rich.table import Table

from gaia_ssl.evaluation.rank_correlation import ALL, WITHIN, notes_of
from gaia_ssl.files import atomic_path

SIZES = {'flops': 'FLOPs alone', 'params': 'params alone'}
"""What bigger-is-better ranks by."""
INTERVAL = '95 % bootstrap interval over subnets'


def write_table(table: pd.DataFrame, path: pathlib.Path) -> None:
    """As CSV, whole or not at all."""
    with atomic_path(path) as temporary:
        table.to_csv(temporary, index=False)


def write_correlations(correlations: pd.DataFrame, found: Mapping[str, Any], folder: pathlib.Path) -> None:
    """``correlations.csv``, and ``correlations.json`` with how they were ``found``, in plain values; NaN is null there."""
    write_table(correlations, folder / 'correlations.csv')
    records = [{name: None if isinstance(value, float) and math.isnan(value) else value for name, value in row.items()}
               for row in correlations.to_dict('records')]
    with atomic_path(folder / 'correlations.json') as temporary:
        temporary.write_text(json.dumps(dict(correlations=records, found=dict(found)), indent=2), encoding='utf-8')


def correlation_table(correlations: pd.DataFrame, title: str, versus: str = 'FLOPs') -> Table:
    """Overall and within groups, with intervals and gains over the baseline, ``versus``; about 100 columns."""
    table = Table(title=title, box=SIMPLE, padding=(0, 1, 0, 0), show_edge=False,
                  caption=f'[ , ]: {INTERVAL}   minus {versus}: of Spearman, paired   ?: may be 0')
    for column in ('subnets', 'ranked by', 'Spearman', 'Kendall', f'minus {versus}'):
        table.add_column(column, no_wrap=True)
    for scope in (ALL, WITHIN):
        rows = correlations[(correlations['scope'] == scope) & (correlations['archs'] > 0)]
        for row in rows.to_dict('records'):
            table.add_row(f"{scope} ({row['archs']:,})", predictor_name(row['predictor']), interval(row, 'spearman'),
                          interval(row, 'kendall'), gain(row))
        table.add_section()
    return table


def group_table(correlations: pd.DataFrame, title: str) -> Table:
    """Spearman's rho in each group, a column a predictor."""
    table = Table(title=title, box=SIMPLE, padding=(0, 1, 0, 0), show_edge=False)
    rows = correlations[~correlations['scope'].isin([ALL, WITHIN])]
    predictors = rows['predictor'].unique()
    table.add_column('group', no_wrap=True)
    table.add_column('subnets', justify='right', no_wrap=True)
    for predictor in predictors:
        table.add_column(predictor_name(predictor), justify='right', vertical='bottom')  # long names wrap
    for group, members in rows.groupby('scope', sort=False):
        table.add_row(group, f"{members['archs'].iloc[0]:,}", *map(number, members['spearman']))
    return table


def print_correlations(say: Callable[..., None], correlations: pd.DataFrame, labels: Mapping[str, str]) -> None:
    """Print the tables of each score, ``labels`` of which say what they are, and the notes."""
    for score, label in labels.items():
        rows = correlations[correlations['score'] == score]
        say(correlation_table(rows, f'Rank correlation with {label}'))
        say(group_table(rows, 'Spearman within each group'))
    for note in notes_of(correlations):
        say(f'note: {note}', soft_wrap=True)


def gain(row: Mapping[str, Any]) -> str:
    """Of Spearman over the baseline, with ``?`` where the interval contains 0; empty for the baseline itself."""
    if row['predictor'] == row['baseline']:
        return ''
    sure = row['spearman_gain_low'] > 0 or row['spearman_gain_high'] < 0
    return interval(row, 'spearman_gain') + ('' if sure or math.isnan(row['spearman_gain_low']) else ' ?')


def predictor_name(predictor: str) -> str:
    """E.g. ``FLOPs alone``."""
    return SIZES.get(predictor, predictor)


def number(value: float) -> str:
    """With two decimals and sign; ``-`` for NaN."""
    return '-' if math.isnan(value) else f'{value:+.2f}'


def interval(row: Mapping[str, float], name: str) -> str:
    """E.g. ``+0.84 [+0.71, +0.92]``."""
    if math.isnan(row[f'{name}_low']):
        return number(row[name])
    return f"{number(row[name])} [{number(row[f'{name}_low'])}, {number(row[f'{name}_high'])}]"
