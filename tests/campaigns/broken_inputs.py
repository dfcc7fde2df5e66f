"""Files of every kind that the tools read, broken at random: each ends in success or in one line, and nothing is lost.

    python -m tests.campaigns.broken_inputs [--cases 400] [--seed 0] [--kind KIND …]

A case is a copy of a small project with one broken file and one tool's run on it, in a process of its own. Wrong is: a
traceback or any other end than status 0 or 1 with one ``error:`` line, a run of over --timeout seconds, memory above --memory,
code that came from data, or another file of the user that is changed or gone. Exit status 1 if anything is wrong.
"""

from __future__ import annotations

import argparse
import hashlib
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from gaia_ssl.progress import Progress
from tests import downstream_data, tiny
from tests.campaigns.mutations import Mutation, broken_bytes, broken_checkpoint, broken_json, broken_text
from tests.fork_server import Forked
from tests.models import layouts

ARCH = '4-4x1-8x1-8x1-16x1'


class Kind(NamedTuple):
    """A kind of file."""
    file: str
    """Where it lies in the project."""
    mutations: Sequence[Callable[[random.Random], Mutation]]
    commands: Sequence[Sequence[str]]
    """Tools that read it, with their words; ``{root}`` is the project's folder."""


SEARCH = ['search.py', '{root}/tiny.py', '{root}/supernet.pth', '--data', '{root}/data', '--work-dir']
EXPORT = ['export.py', '{root}/supernet.pth', ARCH, '{root}/out', '--resolution', '32', '--format', 'torch']
TRAIN = ['train.py', '{root}/tiny.py', '--data', '{root}/data', '--work-dir']
START = ['--cfg-options', 'model.backbone.stem_kernel=7', 'model.bn_splits=1', 'model.backbone.space=auto']
DECODERS = 'libpng', 'Corrupt JPEG'
"""What libraries in C say of a broken image on their own, before it is an error or skipped."""
KINDS = {
    'supernet': Kind('supernet.pth', (broken_bytes, broken_checkpoint, broken_checkpoint, broken_checkpoint), (
        [*SEARCH, '{root}/out'], [*EXPORT, '--images', '{root}/data'],
        ['evaluate.py', '{root}/supernet.pth', '--data', '{root}/labelled', '-k', '3', '--workers', '0', '--work-dir',
         '{root}/out', '--resolution', '32'])),
    'training': Kind('run/epoch_1.pth', (broken_bytes, broken_checkpoint, broken_checkpoint, broken_checkpoint), (
        [*TRAIN, '{root}/run', '--resume', '{root}/run/epoch_1.pth'], )),
    'source': Kind('source.pth', (broken_bytes, broken_checkpoint), (
        [*TRAIN, '{root}/out', '--start', '{root}/source.pth', *START], )),
    'journal': Kind('search/scores/0000.journal', (broken_bytes, ), ([*SEARCH, '{root}/search', '--resume'], )),
    'settings': Kind('search/scores/settings.json', (broken_bytes, broken_json, broken_json),
                     ([*SEARCH, '{root}/search', '--resume'], )),
    'best': Kind('search/best.json', (broken_bytes, broken_json, broken_json, broken_json), (
        ['export.py', '{root}/supernet.pth', '{root}/out', '--from', '{root}/search/best.json', '--features', 'c2-c5',
         '--group', '2-3', '--resolution', '32', '--format', 'torch', '--images', '{root}/data'], )),
    'ranking': Kind('search/ranking.csv', (broken_bytes, broken_text, broken_text), (
        ['compare_domains.py', '--rankings', '{root}/search/ranking.csv', '{root}/other.csv', '--resamples', '20', '--work-dir',
         '{root}/out'],
        ['rank_correlation.py', '--ranking', '{root}/search/ranking.csv', '--scores', '{root}/scores.csv', '--resamples', '20',
         '--work-dir', '{root}/out'])),
    'scores': Kind('scores.csv', (broken_bytes, broken_text, broken_text), (
        ['rank_correlation.py', '--ranking', '{root}/search/ranking.csv', '--scores', '{root}/scores.csv', '--resamples', '20',
         '--work-dir', '{root}/out'], )),
    'archs': Kind('archs.txt', (broken_bytes, broken_text, broken_text), (
        [*SEARCH, '{root}/out', '--archs', '{root}/archs.txt'], )),
    'image': Kind('data/003.png', (broken_bytes, ), (
        [*SEARCH, '{root}/out'], [*EXPORT, '--images', '{root}/data'], [*TRAIN, '{root}/out'])),
    'coco': Kind('coco/annotations/instances_train2017.json', (broken_bytes, broken_json, broken_json, broken_json), (
        [*EXPORT, '--for', 'coco-mask-rcnn', '--data', '{root}/coco'], )),
    'voc': Kind('voc/VOC2007/Annotations/000.xml', (broken_bytes, broken_text), (
        [*EXPORT, '--for', 'voc-faster-rcnn-c4', '--data', '{root}/voc'], )),
    'voc list': Kind('voc/VOC2007/ImageSets/Main/trainval.txt', (broken_bytes, broken_text), (
        [*EXPORT, '--for', 'voc-faster-rcnn-c4', '--data', '{root}/voc'], )),
    'mask': Kind('cityscapes/gtFine/train/town/000_gtFine_labelTrainIds.png', (broken_bytes, ), (
        [*EXPORT, '--for', 'cityscapes-fcn', '--data', '{root}/cityscapes'], )),
    'latency': Kind('latency.json', (broken_bytes, broken_json, broken_json, broken_json), (
        [*SEARCH, '{root}/out', '--latency-table', '{root}/latency.json', '--latency-ms', ':1e9'], )),
    'exported': Kind('exported/backbone.pth', (broken_bytes, broken_checkpoint, broken_checkpoint), (
        ['evaluate.py', '{root}/exported/backbone.pth', '--data', '{root}/labelled', '-k', '3', '--workers', '0', '--work-dir',
         '{root}/out'], )),
    'evaluation': Kind('evaluated/evaluation.json', (broken_bytes, broken_json, broken_json), (
        ['evaluate.py', '{root}/supernet.pth', '--data', '{root}/labelled', '-k', '3', '--workers', '0', '--work-dir',
         '{root}/evaluated', '--resolution', '32', '--resume'], )),
}


def project(root: pathlib.Path) -> pathlib.Path:
    """A whole small project, with a run of each tool."""
    root.mkdir()
    data = tiny.photos(root / 'data', 8)
    tiny.labelled_photos(root / 'labelled')
    for maker in (downstream_data.coco, downstream_data.voc, downstream_data.cityscapes):
        maker(root / maker.__name__)
    tiny.write_config(root / 'tiny.py', data, epochs=2, batch_size=4)
    tiny.save_supernet(root / 'supernet.pth')
    layouts.save(dict(state_dict=layouts.resnet().state_dict()), root / 'source.pth')
    archs = [str(arch) for arch in list(tiny.SPACE)[::3]]
    (root / 'archs.txt').write_text('\n'.join(archs))
    (root / 'scores.csv').write_text('\n'.join(['arch,score', *(f'{arch},{np.sin(i):.3f}' for i, arch in enumerate(archs))]))
    search = [*SEARCH, '{root}/search', '--archs', '{root}/archs.txt']
    for command in (
            [*TRAIN, '{root}/run', '--cfg-options', 'train_cfg.max_epochs=1'], search,
            ['measure_latency.py', '{root}/latency.json', '--config', '{root}/tiny.py', '--resolution', '32', '--check', '0',
             '--repeats', '1'],
            [*EXPORT[:3], '{root}/exported', *EXPORT[4:], '--images', '{root}/data'],
            [*KINDS['evaluation'].commands[0][:-1]]):
        ended = tiny.finish(started(command, root))
        if ended.returncode:
            raise RuntimeError(f'{command}: {ended.stderr}')
    ranking = pd.read_csv(root / 'search' / 'ranking.csv', keep_default_na=False)
    ranking.sample(frac=1, random_state=0).to_csv(root / 'other.csv', index=False)
    return root


def started(command: Sequence[str], root: pathlib.Path) -> Forked:
    name, *words = (word.format(root=root) if '{root}' in word else word for word in command)
    return tiny.start_tool(name, *words)


def fingerprints(root: pathlib.Path) -> dict[str, str]:
    """Relative path -> hash of each file, but logs, which grow, and copies of configs, which each start renews."""
    files = [path for path in root.rglob('*')
             if path.is_file() and 'vis_data' not in path.parts and (path.suffix != '.py' or path.parent == root)]
    return {path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in files if path.suffix not in ('.log', '.lock')}


def peak_memory(pid: int) -> int:
    """Bytes, of a process that runs; 0 if it does not."""
    try:
        status = pathlib.Path(f'/proc/{pid}/status').read_text()
        return int(status.partition('VmHWM:')[2].split()[0]) * 1024
    except (OSError, IndexError):
        return 0


def verdict(kind: Kind, mutation: Mutation, command: Sequence[str], template: pathlib.Path, root: pathlib.Path,
            timeout: float, memory: float) -> str:
    """What is wrong; empty if nothing."""
    shutil.copytree(template, root, symlinks=True)
    mutation[1](root / kind.file)
    before = fingerprints(root)
    process = started(command, root)
    start, peak = time.monotonic(), 0
    while process.poll() is None and time.monotonic() - start < timeout and peak < memory:
        peak = max(peak, peak_memory(process.pid))
        time.sleep(0.02)
    if process.poll() is None:
        tiny.kill(process)
        return f'{peak / 2**30:.1f} GB' if peak >= memory else f'no end in {timeout:.0f} s'
    try:
        _, err = process.communicate(timeout=10)
    except subprocess.TimeoutExpired:
        tiny.kill(process)
        return 'left a process behind'
    lines = [line for line in err.splitlines() if 'Warning' not in line and not line.startswith(('  ', *DECODERS))]
    if any(root.rglob('executed')) or (tiny.ROOT / 'executed').exists():
        return 'code was executed'
    if process.returncode not in (0, 1) or 'Traceback' in err:
        return f'status {process.returncode}: {err[-600:]}'
    if process.returncode == 1 and (len(lines) != 1 or not lines[0].startswith('error: ')):
        return f'no single line: {err[-600:]}'
    if process.returncode == 1:
        after = fingerprints(root)
        if lost := [path for path in before if after.get(path) != before[path]]:
            return f'changed or gone: {", ".join(lost)}'
    return ''


def run(cases: int, seed: int, kinds: Sequence[str], timeout: float, memory: float) -> pd.DataFrame:
    """A row a case: kind, mutation, tool, what is wrong."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        template = project(pathlib.Path(folder, 'project'))
        progress = Progress(cases, 'broken inputs', every=30)
        for case in range(cases):
            rng = random.Random(f'{seed} {case}')
            name = kinds[case % len(kinds)]
            kind = KINDS[name]
            mutation, command = rng.choice(kind.mutations)(rng), rng.choice(kind.commands)
            root = pathlib.Path(folder, 'case')
            wrong = verdict(kind, mutation, command, template, root, timeout, memory)
            rows.append((case, name, mutation[0], command[0], wrong))
            if wrong:
                print(f'\n{case} {name}, {mutation[0]}, {command[0]}: {wrong}', flush=True)
            shutil.rmtree(root)
            progress.advance()
    return pd.DataFrame(rows, columns=['case', 'kind', 'mutation', 'tool', 'wrong'])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--cases', type=int, default=400)
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--kind', nargs='+', choices=list(KINDS), default=list(KINDS))
    parser.add_argument('--timeout', type=float, default=120, help='seconds of a run (default: %(default)s)')
    parser.add_argument('--memory', type=float, default=4, help='GB of a run (default: %(default)s)')
    arguments = parser.parse_args()
    found = run(arguments.cases, arguments.seed, arguments.kind, arguments.timeout, arguments.memory * 2**30)
    print(found.groupby('kind')['wrong'].agg(cases='size', wrong=lambda column: (column != '').sum()).to_string())
    wrong = (found['wrong'] != '').sum()
    print(f'{len(found)} broken inputs, {wrong} wrong')
    sys.exit(bool(wrong))


if __name__ == '__main__':
    main()
