"""Exports a subnet for downstream tasks, and trains and tests each with its toolbox's own tools, on little data.

    python benchmarks/downstream.py coco-mask-rcnn voc-faster-rcnn-c4 cityscapes-fcn --checkpoint SUPERNET --arch ARCH

The data lie under $GAIA_SSL_TEST_DATA. Each task's outcome is added to results/downstream.json; a stopped run goes on where it
was.
"""

import argparse
import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

import record
from mmengine.config import Config
from mmengine.utils import get_installed_path

from gaia_ssl.checkpoint import file_hash
from gaia_ssl.export import TASKS
from gaia_ssl.files import atomic_path

ROOT = Path(__file__).resolve().parents[1]
RESULT = 'downstream'
LOGGED = 30  # losses a run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('tasks', nargs='+', choices=list(TASKS), metavar='TASK', help=', '.join(TASKS))
    parser.add_argument('--checkpoint', default='work_dirs/mocov2_r_supernet_imagenette/epoch_28.pth', help='of the supernet')
    parser.add_argument('--arch', default='24-24x1-48x2-96x2-128x2', help='the subnet')
    parser.add_argument('--iterations', type=int,
                        help="length of the training (default: the small variant's; one in epochs keeps its own)")
    parser.add_argument('--work-dir', type=Path, default=Path('work_dirs/downstream'))
    parser.add_argument('--results', type=Path, default=record.RESULTS, help='folder of the JSON (default: %(default)s)')
    arguments = parser.parse_args()
    if 'GAIA_SSL_TEST_DATA' not in os.environ:
        parser.error('set GAIA_SSL_TEST_DATA to the folder that holds coco/, voc/ and cityscapes/')

    record.RESULTS = arguments.results
    for task in arguments.tasks:
        outcome = run_task(task, arguments)
        print(f"{task}: loss {outcome['loss_at_start']:.3f} -> {outcome['loss_at_end']:.3f}, {outcome['metrics']}", flush=True)
        path = arguments.results / f'{RESULT}.json'
        earlier = json.loads(path.read_text(encoding='utf-8'))['results'] if path.is_file() else {}
        record.write(RESULT, {**earlier, task: outcome})


def run_task(task: str, arguments: argparse.Namespace) -> dict:
    """Export, train, test: each step only if its result is not there yet."""
    folder = arguments.work_dir / task
    check_same_settings(folder, dict(checkpoint=file_hash(arguments.checkpoint), arch=arguments.arch,
                                     iterations=arguments.iterations))
    config, commands = folder / 'train.py', Commands(folder)
    if not config.is_file():
        commands.run(ROOT / 'tools' / 'export.py', arguments.checkpoint, arguments.arch, folder / 'export', '--for', task,
                     '--small', '--data', os.environ['GAIA_SSL_TEST_DATA'], '--overwrite')
        scaled = scale(Config.fromfile(folder / 'export' / f'{task}_small.py'), arguments.iterations)
        with atomic_path(config) as temporary:
            scaled.dump(temporary)
    tools = Path(get_installed_path(TASKS[task].toolbox)) / '.mim' / 'tools'
    train, test = folder / 'train', folder / 'test'
    if not (folder / 'trained').is_file():
        start = time.monotonic()
        commands.run(tools / 'train.py', config, '--work-dir', train, '--resume')
        (folder / 'trained').write_text(f'{time.monotonic() - start:.0f}')
    checkpoint = Path((train / 'last_checkpoint').read_text().strip())
    if not (folder / 'tested').is_file():
        shutil.rmtree(test, ignore_errors=True)
        commands.run(tools / 'test.py', config, train / checkpoint.name, '--work-dir', test)
        (folder / 'tested').touch()
    losses = [line['loss'] for log in sorted(train.glob('*/vis_data/scalars.json'))
              for line in map(json.loads, log.read_text().splitlines()) if 'loss' in line]
    metrics = json.loads(next(test.glob('*/*.json')).read_text())
    return dict(
        arch=arguments.arch, supernet=Path(arguments.checkpoint).name, length=Config.fromfile(config).train_cfg,
        loss_at_start=losses[0], loss_at_end=losses[-1], losses=losses,
        metrics={name: value for name, value in metrics.items() if not name.endswith('time')},
        seconds_of_training=int((folder / 'trained').read_text()), commands=commands.recorded())


def check_same_settings(folder: Path, settings: dict) -> None:
    """A stopped run goes on only with the settings that it began with."""
    note = folder / 'settings.json'
    if note.is_file() and json.loads(note.read_text()) != settings:
        sys.exit(f'{folder} holds a run with other settings ({note}); remove it or give another --work-dir')
    with atomic_path(note) as temporary:
        temporary.write_text(json.dumps(settings))


def scale(config: Config, iterations: int | None) -> Config:
    """A training of so many iterations, its schedule in proportion, with :data:`LOGGED` losses; test.py evaluates it."""
    unit = 'max_iters' if 'max_iters' in config.train_cfg else 'max_epochs'
    length = config.train_cfg[unit]
    if iterations is not None and unit == 'max_iters':
        ratio = iterations / length
        for scheduler in config.param_scheduler:
            for name in ('begin', 'end', 'T_max'):
                if name in scheduler:
                    scheduler[name] = round(scheduler[name] * ratio)
            if 'milestones' in scheduler:
                scheduler.milestones = [round(milestone * ratio) for milestone in scheduler.milestones]
        config.param_scheduler = [scheduler for scheduler in config.param_scheduler
                                  if scheduler.get('end', iterations) > scheduler.get('begin', 0)]
        config.train_cfg.max_iters = length = iterations
        config.default_hooks.checkpoint.interval = max(1, length // 3)
        config.default_hooks.logger.interval = config.log_processor.window_size = max(1, length // LOGGED)
    config.train_cfg.val_interval = length + 1
    return config


class Commands:
    """Runs tools, their output in ``folder/output.log``, and keeps their command lines without this machine's paths."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / 'commands.json'

    def run(self, *words: object) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        with open(self.folder / 'output.log', 'a', encoding='utf-8') as log:
            subprocess.run([sys.executable, *map(str, words)], check=True, stdout=log, stderr=subprocess.STDOUT)
        command = ' '.join(['python', *map(self._portable, words)])
        kept = [command] if 'export.py' in command else [*self.recorded(), command]
        self.file.write_text(json.dumps(kept))

    def recorded(self) -> list[str]:
        return json.loads(self.file.read_text()) if self.file.is_file() else []

    def _portable(self, word: object) -> str:
        path = Path(str(word))
        places = {os.environ['GAIA_SSL_TEST_DATA']: '$GAIA_SSL_TEST_DATA',
                  self.folder: f'work_dirs/{RESULT}/{self.folder.name}', ROOT: ''}
        for start, name in places.items():
            if path.is_relative_to(start):
                return str(Path(name) / path.relative_to(start))
        if '.mim' in path.parts:
            return '/'.join(path.parts[path.parts.index('.mim') - 1:])
        return path.name if path.is_absolute() else shlex.quote(str(word))


if __name__ == '__main__':
    main()
