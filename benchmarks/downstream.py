"""Exports a subnet for downstream tasks, and trains and tests each with its toolbox's own tools, on little data.

    python benchmarks/downstream.py coco-mask-rcnn classification=cifar10 --checkpoint SUPERNET --arch ARCH

The data lie under $GAIA_SSL_TEST_DATA; TASK=FOLDER takes a certain folder there, TASK the usual one. Each outcome is added to
results/downstream.json, and the losses are drawn. A stopped run goes on where it was.
"""

import argparse
import json
import os
import shlex
import shutil
import statistics
import subprocess
import sys
from pathlib import Path

import record
from matplotlib.figure import Figure

from gaia_ssl.checkpoint import file_hash, latest_checkpoint
from gaia_ssl.export import TASKS
from gaia_ssl.export.toolbox import read_metrics, tool
from gaia_ssl.files import atomic_path
from gaia_ssl.run_log import read_run_log

ROOT = Path(__file__).resolve().parents[1]
RESULT, STEPS = 'downstream', ('exported', 'trained', 'tested')
CHECKPOINT, ARCH = 'work_dirs/mocov2_r_supernet_imagenette/epoch_28.pth', '24-24x1-48x2-96x2-128x2'


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('tasks', nargs='+', metavar='TASK[=FOLDER]', help=', '.join(TASKS))
    parser.add_argument('--checkpoint', default=CHECKPOINT, help='of the supernet (default: %(default)s)')
    parser.add_argument('--arch', default=ARCH, help='the subnet (default: %(default)s)')
    parser.add_argument('--resolution', type=int, help="export.py's --resolution")
    parser.add_argument('--options', nargs='+', default=[], metavar='KEY=VALUE', help="train.py's --cfg-options")
    parser.add_argument('--work-dir', type=Path, default=Path('work_dirs/downstream'))
    parser.add_argument('--results', type=Path, default=record.RESULTS, help='folder of the JSON (default: benchmarks/results)')
    parser.add_argument('--plot', type=Path, help='draw the losses of all recorded tasks, e.g. into docs/images/downstream.png')
    arguments = parser.parse_args()
    if 'GAIA_SSL_TEST_DATA' not in os.environ:
        parser.error('set GAIA_SSL_TEST_DATA to the folder that holds coco/, voc/, cityscapes/, imagenette/ and cifar10/')

    record.RESULTS = arguments.results
    path = arguments.results / f'{RESULT}.json'
    for task in arguments.tasks:
        outcome = run_task(task, arguments)
        print(f"{task}: loss {outcome['loss_at_start']:.3f} -> {outcome['loss_at_end']:.3f}, {outcome['metrics']}", flush=True)
        earlier = json.loads(path.read_text(encoding='utf-8'))['results'] if path.is_file() else {}
        record.write(RESULT, {**earlier, task: outcome})
    if arguments.plot:
        plot_losses(json.loads(path.read_text(encoding='utf-8'))['results'], arguments.plot)


def run_task(name: str, arguments: argparse.Namespace) -> dict:
    """Export, train, test: each step only if its result is not there yet."""
    task, _, data = name.partition('=')
    folder = arguments.work_dir / name.replace('=', '_')
    settings = dict(checkpoint=file_hash(arguments.checkpoint), arch=arguments.arch, resolution=arguments.resolution,
                    options=arguments.options)
    check_same_settings(folder, settings)
    commands = Commands(folder)
    config = folder / 'export' / f'{task}_small.py'
    if not (folder / 'exported').is_file():
        commands.run('exported', ROOT / 'tools' / 'export.py', arguments.checkpoint, arguments.arch, folder / 'export', '--for',
                     task, '--small', '--data', Path(os.environ['GAIA_SSL_TEST_DATA'], data), '--overwrite',
                     *(['--resolution', arguments.resolution] if arguments.resolution else []))
    toolbox = TASKS[task].toolbox
    train, test = folder / 'train', folder / 'test'
    if not (folder / 'trained').is_file():
        options = ['--cfg-options', *arguments.options] if arguments.options else []
        commands.run('trained', tool(toolbox, 'train.py'), config, '--work-dir', train, '--resume', *options)
    checkpoint = Path(latest_checkpoint(train))
    if not (folder / 'tested').is_file():
        shutil.rmtree(test, ignore_errors=True)
        commands.run('tested', tool(toolbox, 'test.py'), config, checkpoint, '--work-dir', test)
    lines = [line for line in read_run_log(train) if 'loss' in line]
    losses = [(line['step'], line['loss']) for line in lines]
    return dict(
        arch=arguments.arch, supernet=Path(arguments.checkpoint).name, checkpoint=checkpoint.name,
        loss_at_start=losses[0][1], loss_at_end=losses[-1][1], losses=losses,
        metrics=read_metrics(test),
        seconds_per_iteration=statistics.median(line['time'] for line in lines), commands=commands.recorded())


def check_same_settings(folder: Path, settings: dict) -> None:
    """A stopped run goes on only with the settings that it began with."""
    note = folder / 'settings.json'
    if note.is_file() and json.loads(note.read_text()) != settings:
        sys.exit(f'{folder} holds a run with other settings ({note}); remove it or give another --work-dir')
    with atomic_path(note) as temporary:
        temporary.write_text(json.dumps(settings))


class Commands:
    """Runs tools, their output in ``folder/output.log``; the command line of each is in a file of the step's name."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def run(self, step: str, *words: object) -> None:
        with open(self.folder / 'output.log', 'a', encoding='utf-8') as log:
            subprocess.run([sys.executable, *map(str, words)], check=True, stdout=log, stderr=subprocess.STDOUT)
        with atomic_path(self.folder / step) as temporary:
            temporary.write_text(' '.join(['python', *map(self._portable, words)]))

    def recorded(self) -> list[str]:
        return [(self.folder / step).read_text() for step in STEPS]

    def _portable(self, word: object) -> str:
        """An argument without this machine's paths."""
        path = Path(str(word))
        if path.is_relative_to(os.environ['GAIA_SSL_TEST_DATA']):
            return str(Path('$GAIA_SSL_TEST_DATA') / path.relative_to(os.environ['GAIA_SSL_TEST_DATA']))
        if path.is_relative_to(ROOT):
            return str(path.relative_to(ROOT))
        if '.mim' in path.parts:
            return '/'.join(path.parts[path.parts.index('.mim') - 1:])
        return shlex.quote(str(word))


def plot_losses(outcomes: dict[str, dict], path: Path) -> None:
    """A panel a task."""
    columns = 4
    rows = -(-len(outcomes) // columns)
    figure = Figure(figsize=(3.6 * columns, 2.8 * rows), layout='constrained')
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for axis, (name, outcome) in zip(axes, outcomes.items(), strict=False):
        axis.plot(*zip(*outcome['losses'], strict=True), linewidth=1)
        axis.set(title=name, xlabel='iteration', ylabel='training loss', ylim=(0, None))
        axis.grid(alpha=0.3)
    for axis in axes[len(outcomes):]:
        axis.remove()
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=110)


if __name__ == '__main__':
    main()
