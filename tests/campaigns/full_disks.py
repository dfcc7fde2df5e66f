"""Every tool on a disk that fills up at a random moment: one line, what was there stays, and the next run ends as ever.

    python -m tests.campaigns.full_disks [--cases 60] [--seed 0]

A real limit on the size of files stands in for the full disk, drawn below the size of a file that the tool writes. Wrong is a
traceback or any other end than one ``error:`` line (or success, where but a log is cut), and a later run that fails or ends in
another outcome than an undisturbed one. Exit status 1 if anything is wrong.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import random
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

import pandas as pd

from gaia_ssl.checkpoint import load_checkpoint
from gaia_ssl.progress import Progress
from tests import tiny
from tests.campaigns.broken_inputs import ARCH, project


def _bytes(name: str) -> Callable[[pathlib.Path], object]:
    return lambda out: (out / name).read_bytes()


def _trained(out: pathlib.Path) -> object:
    checkpoint = load_checkpoint(out / 'epoch_2.pth')
    return [checkpoint['state_dict'], checkpoint['optimizer']]


def _summary(out: pathlib.Path) -> object:
    return json.loads((out / 'evaluation.json').read_text())['summary']


def _exported(name: str) -> Callable[[pathlib.Path], object]:
    return lambda out: load_checkpoint(out / name)['state_dict']


class Writer(NamedTuple):
    """A tool that writes into a folder."""
    words: tuple[str, ...]
    """With ``{root}`` for the project and ``{out}`` for the folder."""
    outcome: Callable[[pathlib.Path], Any]
    """What must not differ."""
    resumes: bool = True


LABELLED = '--data', '{root}/labelled', '-k', '3', '--workers', '0', '--resolution', '32', '--work-dir', '{out}'
SEARCH = '{root}/tiny.py', '{root}/supernet.pth', '--data', '{root}/data', '--work-dir', '{out}'
EXPORT = '{root}/supernet.pth', ARCH, '{out}', '--resolution', '32'
WRITERS = {
    'train': Writer(('train.py', '{root}/tiny.py', '--data', '{root}/data', '--work-dir', '{out}'), _trained),
    'search': Writer(('search.py', *SEARCH), _bytes('ranking.csv')),
    'race': Writer(('search.py', *SEARCH, '--race', '--cfg-options', 'test_dataloader.batch_size=1'), _bytes('ranking.csv')),
    'export': Writer(('export.py', *EXPORT, '--images', '{root}/data', '--format', 'torch'), _exported('backbone.pth'),
                     resumes=False),
    'export for a task': Writer(('export.py', *EXPORT, '--for', 'imagenet-linear', '--small', '--data', '{root}/labelled'),
                                _exported('backbone.pth'), resumes=False),
    'evaluate': Writer(('evaluate.py', '{root}/supernet.pth', *LABELLED), _summary),
    'rank': Writer(('rank_correlation.py', '{root}/tiny.py', '{root}/supernet.pth', '--images', '{root}/data', '--num', '6',
                    '--resamples', '20', *LABELLED), _bytes('correlations.csv')),
    'domains': Writer(('compare_domains.py', '--rankings', '{root}/search/ranking.csv', '{root}/other.csv', '--resamples', '20',
                       '--work-dir', '{out}'), _bytes('winners.csv')),
}


def run_writer(writer: Writer, root: pathlib.Path, out: pathlib.Path, *further: str, limit: int | None = None) -> Any:
    name, *words = (word.format(root=root, out=out) for word in writer.words)
    return tiny.run_tool(name, *words, *further, timeout=900, file_size=limit)


def wrong_with(writer: Writer, root: pathlib.Path, out: pathlib.Path, limit: int, expected: Any) -> str:
    """What is wrong; empty if nothing."""
    ended = run_writer(writer, root, out, limit=limit)
    lines = [line for line in ended.stderr.splitlines() if 'Warning' not in line and not line.startswith('  ')]
    if ended.returncode not in (0, 1) or 'Traceback' in ended.stderr or 'Traceback' in ended.stdout:
        return f'status {ended.returncode}: {ended.stderr[-600:]}'
    if ended.returncode:
        if len(lines) != 1 or not lines[0].startswith('error: '):
            return f'no single line: {ended.stderr[-600:]}'
        again = ['--resume'] if writer.resumes and out.exists() and any(out.iterdir()) else []
        ended = run_writer(writer, root, out, *again)
        if ended.returncode:
            return f'does not go on: {ended.stderr[-600:]}'
    return '' if tiny.equal(writer.outcome(out), expected) else 'another outcome'


def run(cases: int, seed: int) -> pd.DataFrame:
    """A row a case: tool, limit in bytes, what is wrong."""
    rng, rows = random.Random(seed), []
    with tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(scratch)
        root = project(folder / 'project')
        expected, sizes = {}, {}
        for name, writer in WRITERS.items():
            out = folder / 'whole' / name.replace(' ', '-')
            ended = run_writer(writer, root, out)
            if ended.returncode:
                raise RuntimeError(f'{name}: {ended.stderr}')
            expected[name] = writer.outcome(out)
            sizes[name] = [path.stat().st_size for path in out.rglob('*') if path.is_file() and path.stat().st_size > 100]
        progress = Progress(cases, 'full disks', every=30)
        for case in range(cases):
            name, out = list(WRITERS)[case % len(WRITERS)], folder / 'out'
            limit = max(1, int(rng.choice(sizes[name]) * rng.uniform(0.02, 0.98)))
            wrong = wrong_with(WRITERS[name], root, out, limit, expected[name])
            rows.append((name, limit, wrong))
            if wrong:
                print(f'\n{case} {name}, {limit} bytes: {wrong}', flush=True)
            shutil.rmtree(out, ignore_errors=True)
            progress.advance()
    return pd.DataFrame(rows, columns=['tool', 'limit', 'wrong'])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--cases', type=int, default=60)
    parser.add_argument('--seed', type=int, default=0)
    arguments = parser.parse_args()
    found = run(arguments.cases, arguments.seed)
    wrong = Counter(found['tool'][found['wrong'] != ''])
    print(f'{"tool":<18} {"full disks":>10} {"wrong":>6}')
    for name, count in Counter(found['tool']).items():
        print(f'{name:<18} {count:>10} {wrong[name]:>6}')
    sys.exit(bool(wrong))


if __name__ == '__main__':
    main()
