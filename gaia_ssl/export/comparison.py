"""Is the searched backbone worth it? The same downstream training from it, from ResNet-50's shape, and from scratch."""

from __future__ import annotations

import json
import pathlib
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd
from mmengine.config import Config
from mmengine.utils import get_installed_path

from gaia_ssl.checkpoint import file_hash, load_checkpoint
from gaia_ssl.errors import UserError
from gaia_ssl.evaluation import EvaluationRecord
from gaia_ssl.export.hand_over import BACKBONE, export_subnet
from gaia_ssl.export.tasks import PreparedTask
from gaia_ssl.files import atomic_path
from gaia_ssl.logged_process import run_logged
from gaia_ssl.models.supernet_meta import read_supernet_meta
from gaia_ssl.space import Arch
from gaia_ssl.space.resnet50 import same_cost_resnet50

STARTS = ('searched', 'resnet50', 'scratch')
"""The searched backbone; ResNet-50's shape at its cost, from the same supernet; the searched arch, untrained."""
RESULTS, TABLE, EXPORTS, RUNS = 'comparison.json', 'comparison.csv', 'exports', 'runs'
METRICS = {
    'coco-mask-rcnn': ('coco/bbox_mAP', 'coco/segm_mAP'),
    'voc-faster-rcnn-c4': ('pascal_voc/mAP', 'pascal_voc/AP50'),
    'cityscapes-fcn': ('mIoU', 'aAcc'),
}
"""What to show of a task's metrics, the most telling first; classification has ``accuracy/top1``."""


class Comparison:
    """Exports the backbones, trains from each with every seed, and keeps the results.

    What is done already, by the files in ``work_dir``, is not done again; a training that was stopped goes on.

    Args:
        checkpoint: A supernet's checkpoint.
        arch: The searched subnet.
        task: What to train, with the user's data.
        work_dir: Folder for exports, runs and results.
        overrides: Settings of the config to replace in every run, e.g. ``{'train_cfg.max_iters': 100}``.
        gpus: Processes of a training.
        calibration: Further arguments of :func:`gaia_ssl.export.export_subnet`: ``resolution``, ``batch_size``, …
        report: Where lines for the user go.

    Raises:
        UserError: If the checkpoint cannot be used, the arch does not fit it, ``gpus`` is none, or ``work_dir`` holds another
            comparison.
    """

    def __init__(self, checkpoint: str, arch: Arch, task: PreparedTask, work_dir: str, overrides: dict[str, Any] | None = None,
                 gpus: int = 1, calibration: dict[str, Any] | None = None, report: Callable[[str], None] = print) -> None:
        if gpus < 1:
            raise UserError(f'gpus is {gpus}; a training has 1 process or more')
        self.task = task
        self.folder = pathlib.Path(work_dir)
        self._checkpoint, self._overrides, self._gpus, self._report = checkpoint, overrides or {}, gpus, report
        self._calibration = dict(resolution=224) | (calibration or {})
        meta = read_supernet_meta(load_checkpoint(checkpoint), checkpoint)
        meta['space'].check_fits(arch)
        self._cost = dict(resolution=self._calibration['resolution'], stem_kernel=meta['stem_kernel'])
        resnet50 = same_cost_resnet50(arch, meta['space'], **self._cost)
        self.archs = dict(searched=arch, resnet50=resnet50, scratch=arch)
        self.metrics = METRICS.get(task.name.removesuffix('_small'), ('accuracy/top1', ))
        self.record = EvaluationRecord(self.folder / RESULTS, dict(
            checkpoint_sha256=file_hash(checkpoint), task=task.name, data=task.data.root, images=task.data.num_images,
            archs={start: str(arch) for start, arch in self.archs.items()}, overrides=self._overrides, gpus=gpus,
            calibration=self._calibration), value='score')

    def flops(self, start: str) -> int:
        """Multiply-adds of a start's backbone."""
        return self.archs[start].flops(**self._cost)

    def export(self) -> None:
        """Write the two backbones with the task's config; the third start takes the first one's config."""
        for start in ('searched', 'resnet50'):
            folder = self.folder / EXPORTS / start
            if not (folder / 'README.md').is_file():  # the last file that is written
                self._report(f'{start}: {self.archs[start]}')
                data = self.task.data
                export_subnet(self._checkpoint, self.archs[start], data.images, folder, tasks=[self.task], names=data.names,
                              report=self._report, **self._calibration)

    def run(self, start: str, seed: int) -> None:
        """Train from ``start`` with the toolbox's own tool and record how it scores at the end; nothing if that is there.

        Raises:
            UserError: If the tool fails.
        """
        if self.record.has(start, seed):
            return
        folder = self.folder / RUNS / f'{start}_seed{seed}'
        began = time.monotonic()
        path = self.write_config(start, seed, folder)
        tool = pathlib.Path(get_installed_path(self.task.task.toolbox)) / '.mim' / 'tools' / 'train.py'
        words = [sys.executable, str(tool), str(path), '--work-dir', str(folder), '--resume']
        if self._gpus > 1:
            words[1:2] = ['-m', 'torch.distributed.run', '--standalone', f'--nproc_per_node={self._gpus}', str(tool)]
            words += ['--launcher', 'pytorch']
        run_logged(words, folder / 'output.log', self._show)
        metrics = final_metrics(folder)
        missing = [name for name in self.metrics if name not in metrics]
        if missing:
            raise UserError(f'{folder}: the training ended without {missing[0]} (all output: {folder / "output.log"})')
        self.record.add(start, seed, score=metrics[self.metrics[0]], metrics=metrics,
                        seconds=round(time.monotonic() - began, 1))
        self._write_table()

    def write_config(self, start: str, seed: int, folder: pathlib.Path) -> pathlib.Path:
        """Write the config of a run into ``folder``: they differ in the backbone and the seed alone."""
        source = self.folder / EXPORTS / ('searched' if start == 'scratch' else start)
        config = Config.fromfile(source / f'{self.task.name}.py')
        config.merge_from_dict(self._overrides)
        if start == 'scratch':
            forget_weights(config, source / BACKBONE)
        length = config.train_cfg.get('max_iters') or config.train_cfg.max_epochs
        config.train_cfg.val_interval = length  # once, at the end: nothing is chosen by it
        config.default_hooks.checkpoint.max_keep_ckpts = 2  # one is whole at any time
        config.auto_scale_lr.enable = True  # the learning rate is that for the batch of the full number of GPUs
        config.randomness = dict(seed=seed)
        config.experiment_name = folder.name
        path = folder / 'config.py'
        with atomic_path(path) as temporary:
            config.dump(temporary)
        return path

    def table(self) -> pd.DataFrame:
        """A row a run: start, arch, seed, cost and metrics."""
        return pd.DataFrame([dict(
            start=result['protocol'], arch=str(self.archs[result['protocol']]), seed=result['seed'],
            flops=self.flops(result['protocol']), params=self.archs[result['protocol']].params(self._cost['stem_kernel']),
            **result['metrics'], seconds=result['seconds']) for result in self.record.results])

    def _show(self, line: str) -> None:
        if '(train)' in line or '(val)' in line:
            self._report(line.split(' - INFO - ')[-1].strip())

    def _write_table(self) -> None:
        with atomic_path(self.folder / TABLE) as temporary:
            self.table().to_csv(temporary, index=False)


def forget_weights(config: Config, checkpoint: pathlib.Path) -> None:
    """Take out every ``init_cfg`` that loads ``checkpoint``, so that its modules start as they are initialised.

    Raises:
        ValueError: If there is none.
    """
    found = []

    def walk(node: Any) -> None:
        if isinstance(node, dict):
            init = node.get('init_cfg')
            if isinstance(init, dict) and init.get('type') == 'Pretrained':
                if pathlib.Path(init['checkpoint']).resolve() == checkpoint.resolve():
                    found.append(node.pop('init_cfg'))
            for value in list(node.values()):
                walk(value)
        elif isinstance(node, list | tuple):
            for value in node:
                walk(value)

    walk(config.model)
    if not found:
        raise ValueError(f'{checkpoint} is not loaded by the config')


def final_metrics(folder: pathlib.Path) -> dict[str, float]:
    """What the last evaluation in ``folder`` found, as mmengine logged it; empty if there was none."""
    logs = sorted(folder.glob('*/vis_data/scalars.json'))
    lines = [json.loads(line) for log in logs for line in log.read_text(encoding='utf-8').splitlines()]
    evaluations = [line for line in lines if 'loss' not in line]
    last = evaluations[-1] if evaluations else {}
    return {name: value for name, value in last.items() if name not in ('step', 'time', 'data_time', 'iter', 'epoch')}


def summary(table: pd.DataFrame, metrics: Sequence[str]) -> pd.DataFrame:
    """A row a start: ``runs``, and of each metric mean, sample standard deviation and mean lead of the searched backbone.

    The lead is taken seed by seed, over the seeds that both have.
    """
    searched = table[table['start'] == 'searched'].set_index('seed')
    rows = []
    for start, runs in table.groupby('start', sort=False):
        row = dict(start=start, arch=runs['arch'].iloc[0], flops=runs['flops'].iloc[0], params=runs['params'].iloc[0],
                   runs=len(runs))
        for name in metrics:
            lead = (searched[name] - runs.set_index('seed')[name]).dropna()
            row |= {name: runs[name].mean(), f'{name} std': runs[name].std(), f'{name} lead': lead.mean(),
                    f'{name} lead std': lead.std()}
        rows.append(row)
    return pd.DataFrame(rows)
