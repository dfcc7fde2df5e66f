"""Two searches compared, for the terminal."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from rich.box import SIMPLE
from rich.table import Table

from gaia_ssl.evaluation.rank_correlation import ALL, WITHIN
from gaia_ssl.evaluation.rank_report import INTERVAL, interval, number


def winners_table(winners: pd.DataFrame, names: tuple[str, str]) -> Table:
    """The winners of :func:`~gaia_ssl.search.domains.compare_winners`, which may be as wide as two archs and some numbers."""
    a, b = names
    scored = 'score_a' in winners
    table = Table(title=f'Best subnet of each budget group on {a} and on {b}', box=SIMPLE, padding=(0, 1, 0, 0),
                  show_edge=False,
                  caption=f"place: of {b}'s winner among the group's subnets on {a}   lost: similarity on {a} by taking it")
    for column in ('task', 'group', f'best on {a}', f'best on {b}'):
        table.add_column(column, overflow='fold')
    for column in ('place', 'lost', *(['score', f'of {b}'] if scored else [])):
        table.add_column(column, justify='right', no_wrap=True)
    for row in winners.to_dict('records'):
        known = ['-' if pd.isna(row[name]) else f'{row[name]:.3f}' for name in ('score_a', 'score_b')] if scored else []
        table.add_row(row['task'], row['group'], row['winner_a'], 'same' if row['same'] else row['winner_b'],
                      f"{row['rank_of_b']}/{row['archs']}", f"{row['similarity_a'] - row['similarity_b']:.4f}", *known)
    return table


def agreement_table(correlations: pd.DataFrame, tasks: Sequence[str], names: tuple[str, str]) -> Table:
    """Of :func:`~gaia_ssl.search.domains.agreement`: the two rankings' correlation, and what FLOPs have of it."""
    a, b = names
    table = Table(title=f'Rank correlation of the similarities on {a} and on {b}', box=SIMPLE, padding=(0, 1, 0, 0),
                  show_edge=False, caption=f'[ , ]: {INTERVAL}   FLOPs alone: with the similarity on {a}')
    for column in ('subnets', 'task', 'Spearman', 'Kendall', 'FLOPs alone'):
        table.add_column(column, no_wrap=True)
    for scope in (ALL, WITHIN):
        for task in tasks:
            rows = correlations[(correlations['scope'] == scope) & (correlations['score'] == f'{task} on {a}')]
            row = rows[rows['predictor'] == f'{task} on {b}'].iloc[0]
            flops = rows[rows['predictor'] == 'flops'].iloc[0]
            table.add_row(f"{scope} ({row['archs']:,})", task, interval(row, 'spearman'), interval(row, 'kendall'),
                          number(flops['spearman']))
        table.add_section()
    return table
