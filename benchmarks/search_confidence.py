"""How often the archs that "may be the best" hold the best one, and how the expected regret compares with the true one.

    python benchmarks/search_confidence.py [SEARCH... --tasks c2-c5 z] [--draws 400] --name NAME

Simulated batches are normal or skewed, of archs that correlate or not. Of a recorded search (the work folder of one in full),
batches are drawn with replacement, so that the best arch by all its batches is truly the best. Beside it stands what one finds
by comparing each arch with the winner one by one.
"""

import argparse
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import record
from recorded_search import read_recorded
from rich.console import Console
from rich.table import Table
from scipy.stats import t

from gaia_ssl.search.contenders import expected_regret, may_be_best
from gaia_ssl.search.task_scores import TaskScores, scales_of


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('searches', nargs='*', type=Path, metavar='SEARCH')
    parser.add_argument('--tasks', nargs='+', default=['c2-c5', 'z'])
    parser.add_argument('--draws', type=int, default=400)
    parser.add_argument('--name', required=True, help='results/search_confidence_NAME.json')
    arguments = parser.parse_args()
    rows = []
    for batches in (4, 8, 16):
        for kind in ('equal', 'equal, correlated', 'equal, skewed', 'spread'):
            drawn = (simulated(np.random.default_rng(seed), kind, batches) for seed in range(arguments.draws))
            rows.append(dict(what=f'simulated, {kind}', batches=batches, **judge(drawn)))
    for folder in arguments.searches:
        scored, _ = read_recorded(folder)
        groups = scored.selection.groups
        measured = TaskScores(scored.sums, scored.sizes, None, scales_of(scored.sums, scored.sizes, groups))
        for task in arguments.tasks:
            values = [measured.of(task, np.flatnonzero(groups == group)) for group in np.unique(groups[groups != ''])]
            for batches in (4, 8, 16):
                parts = [judge(resampled(each, batches, arguments.draws // 4)) for each in values]
                rows.append(dict(what=f'{folder.name}, {task}', batches=batches,
                                 **{name: float(np.mean([part[name] for part in parts])) for name in parts[0]}))
    table = Table('archs of', 'batches', 'holds the best', 'share of archs', 'one by one', 'its share', 'expected regret',
                  'true regret')
    for row in rows:
        table.add_row(row['what'], str(row['batches']),
                      *[f'{row[name]:.1%}' for name in ('covered', 'size', 'tied', 'tied_size')],
                      *[f'{row[name]:.2g}' for name in ('expected', 'regret')])
    Console(width=140).print(table)
    record.write(f'search_confidence_{arguments.name}', dict(draws=arguments.draws, level=0.95, rows=rows))


def judge(drawn: Iterable[tuple[np.ndarray, np.ndarray]]) -> dict:
    """Of values ``(A, B)`` and the true means, of which the largest is the best."""
    found = []
    for seed, (values, truth) in enumerate(drawn):
        best, winner = np.argmax(truth), np.argmax(values.mean(axis=1))
        gaps, batches = values[winner] - values, values.shape[1]
        tied = gaps.mean(axis=1) <= t.isf(0.025, batches - 1) * gaps.std(axis=1, ddof=1) / np.sqrt(batches)
        kept = may_be_best(values, seed=seed)
        found.append((kept[best], kept.mean(), tied[best], tied.mean(), expected_regret(values, 200, seed),
                      truth[best] - truth[winner]))
    names = ('covered', 'size', 'tied', 'tied_size', 'expected', 'regret')
    return dict(zip(names, np.mean(found, axis=0).tolist(), strict=True))


def resampled(values: np.ndarray, batches: int, draws: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for seed in range(draws):
        chosen = np.random.default_rng(seed).integers(values.shape[1], size=batches)
        yield values[:, chosen], values.mean(axis=1)


def simulated(rng: np.random.Generator, kind: str, batches: int, archs: int = 100) -> tuple[np.ndarray, np.ndarray]:
    noise = rng.exponential(size=(archs, batches)) if 'skewed' in kind else rng.normal(size=(archs, batches))
    if 'correlated' in kind or kind == 'spread':
        noise = 0.5 * noise + rng.normal(size=(archs, 3)) @ rng.normal(size=(3, batches))
    means = np.linspace(0, -2, archs) if kind == 'spread' else np.zeros(archs)
    return means[:, None] + noise, means


if __name__ == '__main__':
    main()
