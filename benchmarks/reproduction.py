"""The paper's tables in miniature, on CIFAR-10 as image folders: see docs/reproduction.md.

    python benchmarks/reproduction.py --cifar10 DIR --imagenette DIR [--seeds 0 1] [--stages train compare rank domains]

Each stage skips what an earlier call has finished, and goes on with what it had begun.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import record
from matplotlib.figure import Figure
from mmengine.config import Config
from reproduction_runs import METHODS, RESOLUTION, ROOT, SUBNET, Run, all_runs, config_of, train_all
from rich.console import Console
from rich.table import Table

from gaia_ssl import Arch
from gaia_ssl.datasets.center_crops import CenterCrops, center_crop_pipeline
from gaia_ssl.evaluation.subnet_scores import SubnetJudge
from gaia_ssl.export import read_subnet
from gaia_ssl.files import atomic_path
from gaia_ssl.run_log import read_run_log

STAGES = ('train', 'compare', 'rank', 'domains')
TASKS = ['c2-c5', 'c4-c5', 'c5', 'z']


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--cifar10', type=Path, required=True, help='folder with train/CLASS/ and test/CLASS/')
    parser.add_argument('--imagenette', type=Path, required=True, help='folder with train/CLASS/')
    parser.add_argument('--work-dir', type=Path, default=Path('work_dirs/reproduction'))
    parser.add_argument('--stages', nargs='+', choices=STAGES, default=list(STAGES))
    parser.add_argument('--seeds', type=int, nargs='+', default=[0, 1])
    parser.add_argument('--methods', nargs='+', choices=METHODS, default=list(METHODS))
    parser.add_argument('--epochs', type=int, default=4)
    parser.add_argument('--num', type=int, default=50, help='subnets of the rank correlations (default: %(default)s)')
    parser.add_argument('--probe-images', type=int, default=5000, help='of each split, to compare on (default: %(default)s)')
    parser.add_argument('--rank-images', type=int, default=3000, help='of each split, to rank on (default: %(default)s)')
    parser.add_argument('--at-once', type=int, default=2, help='runs that train at the same time (default: %(default)s)')
    arguments = parser.parse_args()

    data = arguments.work_dir / 'data'
    data.mkdir(parents=True, exist_ok=True)
    for split, folder in (('train', 'train'), ('val', 'test')):
        if not (data / split).exists():
            (data / split).symlink_to((arguments.cifar10 / folder).resolve())
    runs = all_runs(arguments.seeds, arguments.methods)
    checkpoints = {run: arguments.work_dir / run.name / f'epoch_{arguments.epochs}.pth' for run in runs}
    if 'train' in arguments.stages:
        train_all(runs, data, arguments.epochs, arguments.work_dir, arguments.at_once)
    done = [run for run in runs if checkpoints[run].exists()]
    if 'compare' in arguments.stages:
        compare(done, checkpoints, data, arguments.probe_images, arguments.work_dir)
    supernets = [run for run in done if run.kind == 'supernet']
    for stage, make in (('rank', rank), ('domains', domains)):
        if stage in arguments.stages:
            for run in supernets:
                make(run, checkpoints[run], data, arguments)
    if 'rank' in arguments.stages:
        summarise_ranks(supernets, arguments.work_dir)


def compare(runs: Sequence[Run], checkpoints: dict[Run, Path], data: Path, probe_images: int, folder: Path) -> None:
    """Tables 7 and 8: supernet, plain method and same-arch teacher, judged on the same subnet."""
    rows = []
    for run in runs:
        result = checkpoints[run].with_name('judged.json')
        if not result.exists():
            scores = judge(checkpoints[run], data, probe_images)
            with atomic_path(result) as temporary:
                temporary.write_text(json.dumps(scores), encoding='utf-8')
        rows.append(dict(method=run.method, kind=run.kind, seed=run.seed, **json.loads(result.read_text())))
    table = pd.DataFrame(rows)
    shown = Table('method', 'trained as', 'seeds', 'kNN %', 'linear %', title=f'{SUBNET}, mean and range over seeds')
    for (method, kind), group in table.groupby(['method', 'kind'], sort=False):
        shown.add_row(method, kind, str(len(group)), *(
            f'{group[score].mean():.2f} ({group[score].min():.2f} to {group[score].max():.2f})' for score in ('knn', 'linear')))
    Console().print(shown)
    record.write('reproduction_compare', dict(subnet=SUBNET, probe_images=probe_images, rows=rows))
    plot_losses(runs, checkpoints, folder / 'losses.png')


def judge(checkpoint: Path, data: Path, probe_images: int) -> dict[str, float]:
    """kNN and linear accuracy of :data:`SUBNET` in percent."""
    subnet, meta = read_subnet(str(checkpoint), Arch.parse(SUBNET))
    train, val = (CenterCrops(str(data / split), meta['mean'], meta['std'], meta['to_rgb'], RESOLUTION, 250, probe_images,
                              with_label=True) for split in ('train', 'val'))
    scores = ['knn', 'linear']
    return {score: 100 * value for score, value in SubnetJudge(train, val, scores).judge(subnet, scores).items()}


def rank(run: Run, checkpoint: Path, data: Path, arguments: argparse.Namespace) -> None:
    """Tables 2 and 9: similarity of each task against kNN and linear accuracy, beside FLOPs and params."""
    work_dir = checkpoint.parent / 'rank'
    if not (work_dir / 'correlations.csv').exists():
        config = search_config(run, checkpoint, data / 'train')
        call('rank_correlation.py', config, checkpoint, '--num', arguments.num, '--data', data, '--score', 'knn', 'linear',
             '--max-images', arguments.rank_images, '--work-dir', work_dir, '--resume')


def domains(run: Run, checkpoint: Path, data: Path, arguments: argparse.Namespace) -> None:
    """Table 10: all archs searched on CIFAR-10 and on Imagenette."""
    work_dir = checkpoint.parent / 'domains'
    if not (work_dir / 'winners.csv').exists():
        scores = checkpoint.parent / 'rank' / 'scores' / 'linear.csv'
        call('compare_domains.py', search_config(run, checkpoint, data / 'train'), checkpoint, '--images', data / 'train',
             arguments.imagenette / 'train', *(['--scores', scores] if scores.exists() else []), '--work-dir', work_dir,
             '--resume')


def search_config(run: Run, checkpoint: Path, images: Path) -> Path:
    """The run's config with a search of all tasks on 256 images."""
    config = config_of(run, images.parent, epochs=1)
    config.merge_from_dict(Config.fromfile(ROOT / 'configs' / '_base_' / 'search.py').to_dict())
    config.test_dataloader.update(batch_size=64, num_workers=1)
    config.test_dataloader.dataset.update(data_root=str(images), pipeline=center_crop_pipeline(RESOLUTION))
    config.test_cfg.update(tasks=TASKS, measure='paper', num_images=256, resolution=RESOLUTION)
    path = checkpoint.with_name('search_config.py')
    config.dump(path)
    return path


def call(tool: str, *arguments: object) -> None:
    """Run one of the project's tools."""
    subprocess.run([sys.executable, str(ROOT / 'tools' / tool), *map(str, arguments)], check=True)


def summarise_ranks(runs: Sequence[Run], folder: Path) -> None:
    """All runs' correlations in one record."""
    found = [pd.read_csv(folder / run.name / 'rank' / 'correlations.csv').assign(method=run.method, seed=run.seed)
             for run in runs]
    record.write('reproduction_rank', dict(rows=pd.concat(found).to_dict('records')))


def plot_losses(runs: Sequence[Run], checkpoints: dict[Run, Path], path: Path) -> None:
    """The max arch's loss of every run, a panel a method."""
    methods = list(dict.fromkeys(run.method for run in runs))
    figure = Figure(figsize=(4 * len(methods), 3.6), layout='constrained')
    for axis, method in zip(figure.subplots(1, len(methods), squeeze=False)[0], methods, strict=True):
        for run in (run for run in runs if run.method == method):
            lines = read_run_log(checkpoints[run].parent)
            steps = {line['step']: line['loss_max'] for line in lines if 'loss_max' in line}
            style = dict(supernet='-', same=':', plain='--')[run.kind]
            axis.plot(list(steps), list(steps.values()), style, linewidth=1, color=f'C{run.seed}',
                      label=f'{run.kind}, seed {run.seed}')
        axis.set(title=method, xlabel='iterations', ylabel='loss of the largest arch')
        axis.legend(fontsize='x-small')
        axis.grid(alpha=0.3)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=120)


if __name__ == '__main__':
    main()
