"""The pre-training runs of docs/reproduction.md: each method as supernet and as plain baseline, at a size for two CPU cores.

Every run is ``tools/train.py`` on a config of configs/data/ made smaller; a run that is there is not trained again, and one
that was stopped goes on.
"""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from mmengine.config import Config

from gaia_ssl import Arch

ROOT = Path(__file__).resolve().parents[1]
METHODS = ('mocov2', 'byol', 'ressl', 'densecl')
SPACE = dict(stem=[8, 16], widths=[[8, 16], [16, 32], [32, 64], [64, 96, 128]], depths=[[1, 2], [1, 2], [1, 2, 3], [1, 2]])
SUBNET = '16-16x1-32x2-64x2-96x1'
"""Where supernet and plain method are compared: in the middle of the space, as ResNet-50 is in the paper's."""
RESOLUTION = 48
BATCH_SIZE = 64
MAX_LR = 2e-3
WARMUP = 100
"""Iterations."""


@dataclasses.dataclass(frozen=True)
class Run:
    """One pre-training: ``kind`` is ``supernet``, ``same`` (the teacher at the student's arch) or ``plain`` (one arch)."""

    method: str
    kind: str
    seed: int

    @property
    def name(self) -> str:
        return f'{self.method}_{self.kind}_seed{self.seed}'


def all_runs(seeds: Sequence[int], methods: Sequence[str]) -> list[Run]:
    """All runs of the tables, the first seed's first; the same-arch teacher with MoCo v2, as in the paper's Table 8."""
    return [Run(method, kind, seed) for seed in seeds for method in methods
            for kind in ('supernet', 'plain', *(['same'] if method == 'mocov2' else []))]


def config_of(run: Run, images: Path, epochs: int) -> Config:
    """The method's CIFAR config at a size for two CPU cores: 1,152 archs, 48 px, AdamW, a queue of four batches."""
    config = Config.fromfile(ROOT / 'configs' / 'data' / f'{run.method}_r_supernet_cifar.py')
    _crop_to(config.train_dataloader.dataset.pipeline, RESOLUTION)
    space = SPACE if run.kind != 'plain' else one_arch_space(SUBNET)
    config.model.backbone.update(stem_kernel=7, space=space)
    if run.kind == 'same':
        config.model.teacher = 'same'
    if 'queue_len' in config.model:
        config.model.queue_len = 4 * BATCH_SIZE
    if run.method in ('mocov2', 'densecl'):
        config.model.head.temperature = 0.1
    config.train_dataloader.update(batch_size=BATCH_SIZE, num_workers=1, pin_memory=False)
    config.train_dataloader.dataset.data_root = str(images / 'train')
    config.optim_wrapper = dict(type='gaia_ssl.AutocastOptimWrapper',
                                optimizer=dict(type='AdamW', lr=MAX_LR, weight_decay=1e-4))
    config.param_scheduler = [
        dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=WARMUP),
        dict(type='CosineAnnealingLR', T_max=epochs, by_epoch=True, begin=0, end=epochs, convert_to_iter_based=True),
    ]
    config.train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=epochs)
    config.default_hooks.logger.interval = 10
    config.default_hooks.checkpoint.update(interval=1, max_keep_ckpts=2)
    config.randomness = dict(seed=run.seed)
    config.custom_hooks.append(dict(
        type='gaia_ssl.SubnetEvaluationHook', train=str(images / 'train'), val=str(images / 'val'), archs=[SUBNET],
        num_images=2000, num_val_images=2000, resolution=RESOLUTION, batch_size=250))
    return config


def train(run: Run, images: Path, epochs: int, folder: Path) -> None:
    """Train ``run`` in ``folder`` on ``images/train`` unless it is there."""
    work_dir = folder / run.name
    if not (work_dir / f'epoch_{epochs}.pth').exists():
        work_dir.mkdir(parents=True, exist_ok=True)
        config_of(run, images, epochs).dump(work_dir / 'train_config.py')
        with open(work_dir / 'output.log', 'a', encoding='utf-8') as log:
            subprocess.run([sys.executable, str(ROOT / 'tools' / 'train.py'), str(work_dir / 'train_config.py'), '--work-dir',
                            str(work_dir), '--resume'], check=True, stdout=log, stderr=subprocess.STDOUT,
                           env={**os.environ, 'OMP_NUM_THREADS': '1'})


def train_all(runs: Sequence[Run], images: Path, epochs: int, folder: Path, at_once: int) -> None:
    """:func:`train` each of ``runs``; ``at_once`` at the same time, one thread each."""
    with ThreadPoolExecutor(at_once) as pool:
        list(pool.map(lambda run: train(run, images, epochs, folder), runs))  # raises what a run raised


def one_arch_space(arch: str) -> dict:
    """The arguments of the space that holds ``arch`` alone."""
    arch = Arch.parse(arch)
    return dict(stem=[arch.stem], widths=[[width] for width in arch.widths], depths=[[depth] for depth in arch.depths])


def _crop_to(node: object, size: int) -> None:
    """Set the side of every RandomResizedCrop inside ``node``."""
    if isinstance(node, dict):
        if node.get('type') == 'RandomResizedCrop':
            node['scale'] = size
        node = list(node.values())
    if isinstance(node, list):
        for child in node:
            _crop_to(child, size)
