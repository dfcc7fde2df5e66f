"""Races on recorded searches: how often they find the winner of the search in full, and at which share of its multiply-adds.

    python benchmarks/search_race.py SEARCH... --tasks c2-c5 z --name NAME [--indifference 0 0.25] [--orders 200]

A search is the work folder of one in full. The indifference is in standard deviations of the groups' similarities.
"""

import argparse
from collections import defaultdict
from pathlib import Path

import numpy as np
import record
from recorded_search import read_recorded
from rich.console import Console
from rich.table import Table

from gaia_ssl.search.race import Race, RaceRules
from gaia_ssl.search.scored import Scored
from gaia_ssl.search.task_scores import TaskScores, scales_of


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('searches', nargs='+', type=Path, metavar='SEARCH')
    parser.add_argument('--tasks', nargs='+', required=True)
    parser.add_argument('--indifference', nargs='+', type=float, default=[0, 0.25])
    parser.add_argument('--orders', type=int, default=200)
    parser.add_argument('--name', required=True, help='results/search_race_NAME.json')
    arguments = parser.parse_args()
    table = Table('search', 'task', 'indifference', 'archs', 'batches', 'winner', 'or inside', 'all groups', 'archs left',
                  'multiply-adds', title=f'Races in {arguments.orders} random orders of the image batches')
    rows = []
    for folder in arguments.searches:
        scored, found = read_recorded(folder)
        scored = scored.take(np.flatnonzero(scored.selection.groups != ''))
        for task in arguments.tasks:
            for indifference in arguments.indifference:
                row = run(scored, task, indifference, arguments.orders, (found['resolution'], found['supernet']['stem_kernel']))
                rows.append(dict(search=folder.name, task=task, indifference=indifference, **row))
                table.add_row(folder.name, task, f'{indifference:g}', *[str(row[name]) for name in ('archs', 'batches')],
                              *[f'{row[name]:.1%}' for name in ('winner', 'inside', 'all_groups', 'left', 'share')])
    Console(width=140).print(table)
    record.write(f'search_race_{arguments.name}', dict(orders=arguments.orders, rows=rows))


def run(scored: Scored, task: str, indifference: float, orders: int, input_size: tuple[int, int]) -> dict:
    groups, archs = scored.selection.groups, [tuple(numbers) for numbers in scored.selection.tree.numbers]
    full = TaskScores(scored.sums, scored.sizes, None, scales_of(scored.sums, scored.sizes, groups)).mean(task)
    spread = np.sqrt(np.mean([full[groups == group].var() for group in np.unique(groups)]))
    truth, best = dict(zip(archs, full, strict=True)), {group: full[groups == group].max() for group in np.unique(groups)}
    place = {numbers: row for row, numbers in enumerate(archs)}
    cost = scored.selection.tree.macs(*input_size).sum() * scored.sizes.sum()
    tally = defaultdict(list)
    for order in range(orders):
        rules = RaceRules([task], None, indifference * spread, seed=order)
        rounds = rules.rounds(len(scored.sizes))
        race = Race(scored.selection, rules, len(rounds))
        spent = 0.0
        for batches in rounds:
            part = scored.take(np.array([place[tuple(numbers)] for numbers in race.running.tree.numbers]))
            spent += part.selection.tree.macs(*input_size).sum() * scored.sizes[batches].sum()
            race.advance(Scored(part.selection, {name: sums[:, batches] for name, sums in part.sums.items()},
                                scored.sizes[batches]))
            if race.running is None:
                break
        losses = []
        for one in race.finished:
            means = TaskScores(one.sums, one.sizes, None, race.scales).mean(task)
            losses.append(best[one.selection.groups[0]] - truth[tuple(one.selection.tree.numbers[np.argmax(means)])])
        losses = np.array(losses)
        tally['winner'] += (losses == 0).tolist()
        tally['inside'] += (losses <= indifference * spread).tolist()
        tally['all_groups'].append((losses <= indifference * spread).all())
        tally['left'].append(sum(len(one.selection.tree) for one in race.finished) / len(archs))
        tally['share'].append(spent / cost)
    return dict(archs=len(archs), batches=len(scored.sizes), **{name: float(np.mean(values)) for name, values in tally.items()})


if __name__ == '__main__':
    main()
