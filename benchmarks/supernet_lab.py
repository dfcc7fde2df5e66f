"""Does a subnet out of the supernet beat plain training? Short trainings, everything in memory: docs/reproduction.md.

    python benchmarks/supernet_lab.py --cifar10 DIR [--variants plain supernet …] [--seeds 0 1] [--epochs 12] [--judge-at 4 12]
    python benchmarks/supernet_lab.py --cifar10 DIR --size cifar --epochs 200 --judge-at 4 16 64 200     # on a GPU

A run that is there is not trained again, and one that was stopped goes on from its last epoch. Images are packed once, and
views made in batches on the device; model, step and hook are the project's own.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import record
import torch
from images_in_memory import pack_images, packed
from matplotlib.figure import Figure
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner
from reproduction_runs import METHODS, ROOT, WARMUP, one_arch_space
from torch import Tensor

from gaia_ssl import Arch, ArchSpace
from gaia_ssl.checkpoint import latest_checkpoint
from gaia_ssl.engine.build_runner import build_runner
from gaia_ssl.evaluation.bn_calibration import calibrate_bn
from gaia_ssl.evaluation.features import pooled_features
from gaia_ssl.evaluation.knn import knn_accuracy
from gaia_ssl.evaluation.linear_probe import linear_probe_accuracy
from gaia_ssl.files import atomic_path
from gaia_ssl.models import extract_subnet
from gaia_ssl.registry import HOOKS

COLOURS: dict[str, list] = {'byol': [{}, dict(solarize=0.2)], 'ressl': [{}, None]}
"""Of each method's two views, where they are not both those of MoCo v2."""


@dataclasses.dataclass(frozen=True)
class Size:
    """A space, the subnet of it that is also trained alone, and what goes with them."""

    resolution: int
    space: dict
    subnet: str
    hidden: int
    batch_size: int
    queue_len: int
    temperature: float


SIZES = dict(
    tiny=Size(16, dict(stem=[8], widths=[[4, 8], [8, 16], [16, 32], [32, 48, 64]], depths=[[1, 2], [1, 2], [1, 2], [1, 2]]),
              '8-8x1-16x1-32x2-48x1', hidden=256, batch_size=64, queue_len=256, temperature=0.1),
    small=Size(32, dict(stem=[16], widths=[[8, 16], [16, 32], [32, 64], [64, 96, 128]], depths=[[1], [1, 2], [1, 2], [1, 2]]),
               '16-16x1-32x1-64x2-96x1', hidden=512, batch_size=128, queue_len=1024, temperature=0.1),
    cifar=Size(32, dict(stem=[16, 24, 32], widths=[[16, 24, 32], [32, 48, 64], [64, 96], [128, 192]],
                        depths=[[1, 2], [1, 2], [1, 2, 3, 4], [1, 2, 3]]),
               '24-24x1-48x2-96x2-128x2', hidden=512, batch_size=256, queue_len=4096, temperature=0.2))
"""``tiny`` is for a CPU core, ``small`` for several, ``cifar`` is the space of configs/data/*_cifar.py. All have a 3x3 stem."""

HOOK = 'custom_hooks.0.'
VARIANTS: dict[str, dict[str, Any]] = {
    'plain': {},
    'plain_max': {},
    'supernet': {},
    'weight': {f'{HOOK}weights': dict(max=2.5)},
    'soft': {'model.soft_targets': 0.5},
    'weight_soft': {f'{HOOK}weights': dict(max=2.5), 'model.soft_targets': 0.5},
    'soft_only': {'model.soft_targets': 1.0},
    'slow_start': {f'{HOOK}slow_start': 0.5},
    'phases': {f'{HOOK}slow_start': 0.25, f'{HOOK}phases': 3},
    'all': {f'{HOOK}weights': dict(max=2.5), f'{HOOK}slow_start': 0.25, f'{HOOK}phases': 3, 'model.soft_targets': 0.5},
}
"""What is changed in the config of the supernet, one factor at a time; the plain ones have a space of one arch."""


@dataclasses.dataclass(frozen=True)
class Run:
    """One training."""

    method: str
    variant: str
    seed: int
    epochs: int
    lr: float
    size: str

    @property
    def name(self) -> str:
        return '_'.join(str(value) for value in dataclasses.astuple(self))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--cifar10', type=Path, required=True, help='folder with train/CLASS/ and test/CLASS/')
    parser.add_argument('--methods', nargs='+', choices=METHODS, default=['mocov2'])
    parser.add_argument('--variants', nargs='+', choices=VARIANTS, default=list(VARIANTS))
    parser.add_argument('--seeds', type=int, nargs='+', default=[0, 1, 2])
    parser.add_argument('--epochs', type=int, default=12)
    parser.add_argument('--judge-at', type=int, nargs='+', default=[4, 12], help='epochs (default: %(default)s)')
    parser.add_argument('--lr', type=float, nargs='+', default=[2e-3], help='of AdamW; several are tuned over')
    parser.add_argument('--size', choices=SIZES, default='tiny')
    parser.add_argument('--device', choices=['cpu', 'cuda'], help='default: cuda where there is one')
    parser.add_argument('--probe-images', type=int, default=5000, help='of each split, to judge on (default: %(default)s)')
    parser.add_argument('--work-dir', type=Path, default=Path('work_dirs/supernet_lab'))
    parser.add_argument('--name', default='supernet_lab', help='of the file of results (default: %(default)s)')
    record.add_out(parser)
    arguments = parser.parse_args()
    if arguments.device == 'cpu':
        os.environ['CUDA_VISIBLE_DEVICES'] = ''  # mmengine takes a GPU wherever torch finds one
    elif not torch.cuda.is_available() and arguments.device == 'cuda':
        parser.error('--device cuda: torch finds no GPU')

    arguments.work_dir.mkdir(parents=True, exist_ok=True)
    for split in ('train', 'test'):
        pack_images(arguments.cifar10 / split, SIZES[arguments.size].resolution, packed_file(arguments, split))
    for run in all_runs(arguments):
        train(run, arguments)
        rows = [row for file in sorted(arguments.work_dir.glob('*/rows.json')) for row in json.loads(file.read_text())]
        record.write(arguments.name, dict(sizes={run.size: dataclasses.asdict(SIZES[run.size])}, rows=rows), arguments.out)
        plot(pd.DataFrame(rows), arguments.work_dir / 'curves.png')


def all_runs(arguments: argparse.Namespace) -> list[Run]:
    """Seed by seed, so that whenever it is stopped variants can be compared."""
    return [Run(method, variant, seed, arguments.epochs, lr, arguments.size) for seed in arguments.seeds
            for method in arguments.methods for lr in arguments.lr for variant in arguments.variants]


def packed_file(arguments: argparse.Namespace, split: str) -> Path:
    """Where the images of a split are kept."""
    return arguments.work_dir / f'{split}_{SIZES[arguments.size].resolution}px.pt'


def train(run: Run, arguments: argparse.Namespace) -> None:
    """Train ``run`` to its end, or from where it was stopped."""
    folder = arguments.work_dir / run.name
    if (folder / f'epoch_{run.epochs}.pth').is_file():
        return
    build_runner(config_of(run, arguments, folder)).train()


def config_of(run: Run, arguments: argparse.Namespace, folder: Path) -> Config:
    """The method's CIFAR config with images in memory, AdamW, and a judge."""
    size = SIZES[run.size]
    config = Config.fromfile(ROOT / 'configs' / 'data' / f'{run.method}_r_supernet_cifar.py')
    space = dict(plain=one_arch_space(size.subnet), plain_max=one_arch_space(str(ArchSpace(**size.space).max)))
    model = config.model
    model.backbone.space = space.get(run.variant, size.space)
    model.data_preprocessor.update(type='gaia_ssl.ViewsInBatches', views=COLOURS.get(run.method, [{}, {}]))
    model.neck.hid_channels = size.hidden
    if run.method == 'byol':
        model.head.predictor.hid_channels = size.hidden
    else:
        model.queue_len = size.queue_len
    if run.method in ('mocov2', 'densecl'):
        model.head.temperature = size.temperature
    config.train_dataloader.update(batch_size=size.batch_size, num_workers=0, persistent_workers=False, pin_memory=False)
    config.train_dataloader.dataset = dict(type='gaia_ssl.ImagesInMemory', file=str(packed_file(arguments, 'train')))
    config.optim_wrapper = dict(
        type='gaia_ssl.AutocastOptimWrapper' if torch.cuda.is_available() else 'OptimWrapper',
        optimizer=dict(type='AdamW', lr=run.lr, weight_decay=1e-4), clip_grad=None)
    config.param_scheduler = [
        dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=WARMUP),
        dict(type='CosineAnnealingLR', T_max=run.epochs, by_epoch=True, begin=0, end=run.epochs, convert_to_iter_based=True),
    ]
    config.train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=run.epochs)
    config.default_hooks.checkpoint.update(interval=1, max_keep_ckpts=2)
    archs = dict(subnet=size.subnet) if run.variant == 'plain' else dict(
        subnet=size.subnet, max=str(ArchSpace(**size.space).max), min=str(ArchSpace(**size.space).min))
    if run.variant == 'plain_max':
        del archs['subnet'], archs['min']
    config.custom_hooks = [
        dict(type='gaia_ssl.SandwichSamplerHook'),
        dict(type='gaia_ssl.LabJudge', row=dataclasses.asdict(run), archs=archs, epochs=[*arguments.judge_at, run.epochs],
             files=[str(packed_file(arguments, split)) for split in ('train', 'test')],
             probe_images=arguments.probe_images, resolution=size.resolution),
    ]
    config.randomness = dict(seed=run.seed)
    config.experiment_name = run.name
    config.work_dir = str(folder)
    config.load_from = latest_checkpoint(folder)
    config.resume = config.load_from is not None
    config.merge_from_dict(VARIANTS[run.variant])
    return config


@HOOKS.register_module()
class LabJudge(Hook):
    """Judges some archs after some epochs, and writes a row each into ``rows.json`` of the work dir.

    Args:
        row: What each row begins with.
        archs: By name.
        epochs: After which they are judged.
        files: Of training and test images, see :func:`pack_images`.
        probe_images: So many of each are taken.
        resolution: Their side in pixels.
    """

    priority = 'HIGH'  # a checkpoint follows the rows of its epoch

    def __init__(self, row: dict, archs: dict[str, str], epochs: list[int], files: list[str], probe_images: int,
                 resolution: int) -> None:
        self.row, self.archs, self.epochs, self.resolution = row, archs, epochs, resolution
        self.splits = [{name: values[:probe_images] for name, values in packed(file).items()} for file in files]
        self.cost = dict(macs=0, seconds=0.)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        checkpoint['meta']['lab_cost'] = dict(self.cost)

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        self.cost = checkpoint['meta']['lab_cost']

    def before_train(self, runner: Runner) -> None:
        """Go on with the rows of the epochs that a resumed run has behind it."""
        self.path = Path(runner.work_dir, 'rows.json')
        rows = json.loads(self.path.read_text()) if self.path.is_file() else []
        self.rows = [row for row in rows if row['epoch'] <= runner.epoch]
        self.began = time.process_time()

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: dict | None = None) -> None:
        """Count multiply-adds: a pass of the teacher, and of each arch one forwards and two backwards."""
        model = runner.model
        passes = model.backbone.space.max.flops(self.resolution, 3) + 3 * sum(
            arch.flops(self.resolution, 3) for arch in model.sandwich.values())
        self.cost['macs'] += passes * len(data_batch['inputs']) * (2 if type(model).__name__ == 'SupernetBYOL' else 1)

    def after_train_epoch(self, runner: Runner) -> None:
        self.cost['seconds'] += time.process_time() - self.began
        if runner.epoch + 1 in self.epochs:
            self.judge_all(runner)
        self.began = time.process_time()

    def judge_all(self, runner: Runner) -> None:
        """Judge all archs, and write their rows."""
        for name, arch in self.archs.items():
            scores = self.judge(runner.model, Arch.parse(arch))
            self.rows.append(dict(self.row, epoch=runner.epoch + 1, arch=name, **self.cost, **scores))
            runner.logger.info(f'{self.rows[-1]}')
        with atomic_path(self.path) as temporary:
            temporary.write_text(json.dumps(self.rows), encoding='utf-8')

    def judge(self, model: Any, arch: Arch) -> dict[str, float]:
        """kNN (k 20) and linear accuracy on pooled C5, in percent, batch norms calibrated on the training images."""
        device = next(model.parameters()).device
        subnet = extract_subnet(model.backbone, arch).to(device)
        train, test = (_Batches(split['images'], model.data_preprocessor) for split in self.splits)
        calibrate_bn(subnet, train)
        (train_features, train_labels), (test_features, test_labels) = (
            (pooled_features(subnet, batches), split['labels'].numpy())
            for batches, split in zip((train, test), self.splits, strict=True))
        scores = {name: accuracy(train_features, train_labels, test_features, test_labels)
                  for name, accuracy in (('knn', knn_accuracy), ('linear', linear_probe_accuracy))}
        return {name: round(100 * score, 2) for name, score in scores.items()}


class _Batches:
    """Normalised batches of whole images, in mixed order, as statistics of a batch of one class are no class's."""

    def __init__(self, images: Tensor, preprocessor: Any, size: int = 500) -> None:
        self.images, self.preprocessor, self.size = images, preprocessor, size

    def __len__(self) -> int:
        return -(-len(self.images) // self.size)

    def __iter__(self) -> Iterator[Tensor]:
        for images in self.images.split(self.size):
            yield self.preprocessor._normalise(images.to(self.preprocessor.device))


def plot(rows: pd.DataFrame, path: Path) -> None:
    """The subnet's accuracies against epochs and against compute, a line a variant: mean and range over seeds."""
    rows = rows[rows['arch'] == 'subnet']
    figure = Figure(figsize=(10, 7), layout='constrained')
    axes = figure.subplots(2, 2, sharey='row')
    for row, (score, label) in enumerate((('knn', 'kNN accuracy in %'), ('linear', 'linear probe accuracy in %'))):
        for axis, along, factor in zip(axes[row], ('epoch', 'macs'), (1, 1e-12), strict=True):
            for variant, group in rows.groupby('variant', sort=False):
                means = group.groupby('epoch')[[along, score]].mean()
                ranges = group.groupby('epoch')[score].agg(['min', 'max'])
                axis.errorbar(means[along] * factor, means[score],
                              [means[score] - ranges['min'], ranges['max'] - means[score]], fmt='o-', capsize=3, label=variant)
            axis.grid(alpha=0.3)
        axes[row, 0].set(title='at equal epochs', xlabel='epochs', ylabel=label)
        axes[row, 1].set(title='at equal compute', xlabel='multiply-adds of the training / 1e12')
    axes[0, 0].legend()
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=110)


if __name__ == '__main__':
    main()
