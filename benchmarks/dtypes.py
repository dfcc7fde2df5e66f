"""How alike two searches of the same archs rank them within each group, e.g. one in float32 and one in bfloat16.

    python benchmarks/dtypes.py SEARCH_FLOAT32 SEARCH_BFLOAT16 --name NAME
"""

import argparse
import json
from pathlib import Path

import pandas as pd
import record
from rich.console import Console
from rich.table import Table
from scipy.stats import spearmanr

from gaia_ssl.search import TASKS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('searches', type=Path, nargs=2, help='work folders of two searches')
    parser.add_argument('--name', required=True, help='results/dtypes_NAME.json')
    arguments = parser.parse_args()
    first, second = (pd.read_csv(folder / 'ranking.csv', keep_default_na=False).set_index('arch')
                     for folder in arguments.searches)
    settings = [json.loads((folder / 'best.json').read_text())['search'] for folder in arguments.searches]
    names = [each['dtype'] for each in settings]

    groups = {name: rows.index for name, rows in first.sort_values('flops').groupby('group', sort=False) if name}
    groups['all'] = first.index
    rows = []
    for task in [name for name in TASKS if name in first]:
        for group, members in groups.items():
            a, b = first.loc[members, task], second.loc[members, task]
            winners = a.idxmax(), b.idxmax()
            rows.append(dict(task=task, group=group, archs=len(members), spearman=spearmanr(a, b).statistic,
                             same_winner=winners[0] == winners[1], loss=a[winners[0]] - a[winners[1]],
                             largest_difference=(a - b).abs().max()))
    table = Table('task', 'group', 'archs', 'Spearman', 'same winner', 'lost by it', 'largest difference',
                  title=f'{names[1]} against {names[0]}')
    for row in rows:
        table.add_row(row['task'], row['group'], str(row['archs']), f"{row['spearman']:.5f}",
                      'yes' if row['same_winner'] else 'no', f"{row['loss']:.2g}", f"{row['largest_difference']:.2g}")
    Console().print(table)
    record.write(f'dtypes_{arguments.name}', dict(dtypes=names, images=settings[0]['images'], archs=len(first), rows=rows))


if __name__ == '__main__':
    main()
