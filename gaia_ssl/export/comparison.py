"""Is the searched backbone worth it? The same downstream training from it and from what one would use in its place."""

from __future__ import annotations

import copy
import dataclasses
import pathlib
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd
from mmengine.config import Config

from gaia_ssl.checkpoint import file_hash, latest_checkpoint, load_checkpoint
from gaia_ssl.config_file import write_config
from gaia_ssl.config_place import places
from gaia_ssl.datasets.center_crops import check_sizes
from gaia_ssl.errors import UserError
from gaia_ssl.evaluation import EvaluationRecord
from gaia_ssl.export.hand_over import BACKBONE, export_subnet
from gaia_ssl.export.run_summary import RunSummary, summarise_run
from gaia_ssl.export.schedule import scale_schedule
from gaia_ssl.export.source_supernet import source_arch, write_source_supernet
from gaia_ssl.export.tasks import PreparedTask
from gaia_ssl.export.toolbox import read_metrics, tool
from gaia_ssl.files import atomic_path, claim_folder
from gaia_ssl.logged_process import run_logged
from gaia_ssl.models.supernet_meta import in_channels_of, read_supernet_meta, trained_resolution
from gaia_ssl.space import Arch
from gaia_ssl.space.resnet50 import same_cost_resnet50
from gaia_ssl.terminal import say

STARTS = ('searched', 'resnet50', 'scratch')
"""The searched backbone; ResNet-50's shape at its cost, from the same supernet; the searched arch, untrained."""
SOURCE_STARTS = ('cut', 'source')
"""The searched arch cut out of the pretrained source, without a supernet's training; the source itself, uncut."""
RESULTS, TABLE, EXPORTS, RUNS, SOURCE_SUPERNET = 'comparison.json', 'comparison.csv', 'exports', 'runs', 'source_supernet.pth'
EXPORTED = ('searched', 'resnet50', *SOURCE_STARTS)
"""The others take the export of ``searched``."""
FILES = (RESULTS, TABLE, *(f'{EXPORTS}/{name}' for name in (SOURCE_SUPERNET, *EXPORTED)),
         *(f'{RUNS}/{start}_seed*' for start in (*STARTS, *SOURCE_STARTS)))
"""What a comparison leaves in its folder."""
CONFIG, TEST, LOG = 'config.py', 'test', 'output.log'
METRICS = {
    'coco-mask-rcnn': ('coco/bbox_mAP', 'coco/segm_mAP'),
    'coco-faster-rcnn': ('coco/bbox_mAP', 'coco/bbox_mAP_50'),
    'voc-faster-rcnn-c4': ('pascal_voc/mAP', 'pascal_voc/AP50'),
    'voc-faster-rcnn': ('pascal_voc/mAP', 'pascal_voc/AP50'),
    'cityscapes-fcn': ('mIoU', 'aAcc'),
    'segmentation': ('mIoU', 'aAcc'),
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
        overrides: Settings of the config to replace in every run, e.g. ``{'optim_wrapper.optimizer.lr': 0.01}``.
        length: Epochs or iterations of a training, whichever the config counts, its schedule in proportion; default the
            config's.
        gpus: Processes of a training.
        calibration: Further arguments of :func:`gaia_ssl.export.export_subnet`: ``resolution``, ``batch_size``, …
        source: The pretrained ResNet that the supernet started from; with it, :data:`SOURCE_STARTS` are compared as well.
        report: Where lines for the user go.
        resume: Go on with the comparison in ``work_dir``.
        overwrite: Replace it.

    Raises:
        UserError: If the checkpoint or the source cannot be used, the arch does not fit it or the task, a number is below 1, an
            override sets the length in another unit, or ``work_dir`` holds another comparison. Nothing is written or removed
            then.
    """

    def __init__(self, checkpoint: str, arch: Arch, task: PreparedTask, work_dir: str, overrides: dict[str, Any] | None = None,
                 length: int | None = None, gpus: int = 1, calibration: dict[str, Any] | None = None, source: str | None = None,
                 report: Callable[[str], None] = say, resume: bool = False, overwrite: bool = False) -> None:
        if gpus < 1:
            raise UserError(f'gpus is {gpus}; a training has 1 process or more')
        self.task = dataclasses.replace(task, config=shared_config(task, overrides or {}, length))
        self.folder = pathlib.Path(work_dir)
        self._checkpoint, self._source, self._gpus, self._report = checkpoint, source, gpus, report
        self._meta = meta = read_supernet_meta(load_checkpoint(checkpoint), checkpoint)
        self._calibration = {name: value for name, value in (calibration or {}).items() if value is not None}
        self._calibration.setdefault('resolution', trained_resolution(meta))
        check_sizes(*map(self._calibration.get, ('resolution', 'batch_size', 'max_images')))
        meta['space'].check_fits(arch)
        self._cost = dict(resolution=self._calibration['resolution'], stem_kernel=meta['stem_kernel'],
                          in_channels=in_channels_of(meta))
        resnet50 = same_cost_resnet50(arch, meta['space'], **self._cost)
        self.archs = dict(searched=arch, resnet50=resnet50, scratch=arch)
        """Of each start."""
        if source is not None:
            self.archs |= dict(cut=arch, source=source_arch(source, meta))
        for each in dict.fromkeys(self.archs.values()):
            self.task.fill(BACKBONE, {**meta, 'arch': str(each), **self._cost})  # it may not fit the task
        self.metrics = METRICS.get(task.name.removesuffix('_small'), ('accuracy/top1', ))
        claim_folder(self.folder, *FILES, resume=resume, overwrite=overwrite)
        self.record = EvaluationRecord(self.folder / RESULTS, dict(
            checkpoint_sha256=file_hash(checkpoint), task=task.name, data=task.data.root, images=task.data.num_images,
            archs={start: str(arch) for start, arch in self.archs.items()}, overrides=overrides or {},
            length=length, gpus=gpus, calibration=self._calibration,
            **({} if source is None else dict(source=source))), value='score')

    @property
    def run_summary(self) -> RunSummary:
        """What each training amounts to."""
        return summarise_run(self.task.config, self.task.data.num_images, self._gpus)

    def flops(self, start: str) -> int:
        """Multiply-adds of a start's backbone."""
        return self.archs[start].flops(**self._cost)

    def params(self, start: str) -> int:
        """Parameters of a start's backbone."""
        return self.archs[start].params(self._cost['stem_kernel'], in_channels=self._cost['in_channels'])

    def export(self) -> None:
        """Write the backbones with the task's config; ``scratch`` takes the config of ``searched``."""
        source_supernet = self.folder / EXPORTS / SOURCE_SUPERNET
        if self._source is not None and not source_supernet.is_file():
            source_supernet.parent.mkdir(exist_ok=True)
            write_source_supernet(self._source, self._meta, source_supernet)
        for start in [start for start in EXPORTED if start in self.archs]:
            folder = self.folder / EXPORTS / start
            if not (folder / 'README.md').is_file():  # the last file that is written
                self._report(f'{start}: {self.archs[start]}')
                data, supernet = self.task.data, str(source_supernet) if start in SOURCE_STARTS else self._checkpoint
                export_subnet(supernet, self.archs[start], data.images, folder, tasks=[self.task], names=data.names,
                              report=self._report, **self._calibration)

    def run(self, start: str, seed: int) -> None:
        """Train from ``start`` with the toolbox's own tools, test, and record how it scores; nothing if that is there.

        Raises:
            UserError: If a tool fails.
        """
        if self.record.has(start, seed):
            return
        folder = self.folder / RUNS / f'{start}_seed{seed}'
        began = time.monotonic()
        self.write_config(start, seed, folder)
        self._call('train.py', folder, '--work-dir', str(folder), '--resume')
        shutil.rmtree(folder / TEST, ignore_errors=True)
        trained = latest_checkpoint(folder)
        assert trained is not None  # or train.py would have failed
        self._call('test.py', folder, trained, '--work-dir', str(folder / TEST))
        metrics = read_metrics(folder / TEST)
        if not metrics and self.metrics[0].startswith('coco/'):
            self._report(f'{start}, seed {seed}: no object was found in any image, which counts as 0')
            metrics = dict.fromkeys(self.metrics, 0.0)
        missing = [name for name in self.metrics if name not in metrics]
        if missing:
            raise UserError(f'{folder}: the test ended without {missing[0]} (all output: {folder / LOG})')
        self.record.add(start, seed, score=metrics[self.metrics[0]], metrics=metrics,
                        seconds=round(time.monotonic() - began, 1))
        self._write_table()

    def write_config(self, start: str, seed: int, folder: pathlib.Path) -> pathlib.Path:
        """Write the config of a run into ``folder``: they differ in the backbone and the seed alone."""
        source = self.folder / EXPORTS / ('searched' if start == 'scratch' else start)
        config = Config.fromfile(source / f'{self.task.name}.py')
        if start == 'scratch':
            forget_weights(config, source / BACKBONE)
        config.train_cfg.val_begin = length_of(config) + 1  # never: nothing is chosen by it, and test.py runs at the end
        config.default_hooks.checkpoint.max_keep_ckpts = 2  # one is whole at any time
        config.auto_scale_lr.enable = True  # the learning rate is that for the batch of the full number of GPUs
        config.randomness = dict(seed=seed)
        config.experiment_name = folder.name
        path = folder / CONFIG
        write_config(config, path)
        return path

    def table(self) -> pd.DataFrame:
        """A row a run: start, arch, seed, cost and metrics."""
        return pd.DataFrame([dict(
            start=result['protocol'], arch=str(self.archs[result['protocol']]), seed=result['seed'],
            flops=self.flops(result['protocol']), params=self.params(result['protocol']),
            **result['metrics'], seconds=result['seconds']) for result in self.record.results])

    def _call(self, name: str, folder: pathlib.Path, *words: str) -> None:
        """Run one of the toolbox's tools, on as many processes as were asked for."""
        command = [str(tool(self.task.task.toolbox, name)), str(folder / CONFIG), *words]
        if self._gpus > 1:
            launch = ['-m', 'torch.distributed.run', '--standalone', f'--nproc_per_node={self._gpus}']
            command = [*launch, *command, '--launcher', 'pytorch']
        run_logged([sys.executable, *command], folder / LOG, self._show)

    def _show(self, line: str) -> None:
        if '(train)' in line or '(test)' in line:
            self._report(line.split(' - INFO - ')[-1].strip())

    def _write_table(self) -> None:
        with atomic_path(self.folder / TABLE) as temporary:
            self.table().to_csv(temporary, index=False)


def shared_config(task: PreparedTask, overrides: dict[str, Any], length: int | None) -> Config:
    """The task's config with the user's changes, without a backbone.

    Raises:
        UserError: If the length is none, or given in another unit than the config's.
    """
    config = copy.deepcopy(task.config)
    config.merge_from_dict(overrides)
    if {'max_iters', 'max_epochs'} <= config.train_cfg.keys():
        raise UserError(f'{task.name} counts {unit_of(task.config)}; give --length, in these')
    if length is not None:
        if length < 1:
            raise UserError(f'length is {length}; give 1 or more {unit_of(config)}')
        scale_schedule(config, length)
    return config


def unit_of(config: Config) -> str:
    """What a training's length is counted in."""
    return 'iterations' if 'max_iters' in config.train_cfg else 'epochs'


def length_of(config: Config) -> int:
    return config.train_cfg.get('max_iters') or config.train_cfg.max_epochs


def forget_weights(config: Config, checkpoint: pathlib.Path) -> None:
    """Take out every ``init_cfg`` that loads ``checkpoint``, so that its modules start as they are initialised.

    Raises:
        ValueError: If there is none.
    """
    found = False
    for _, node in places(config.model):
        init = node.get('init_cfg') if isinstance(node, dict) else None
        if isinstance(init, dict) and init.get('type') == 'Pretrained' and (
                pathlib.Path(init['checkpoint']).resolve() == checkpoint.resolve()):
            node.pop('init_cfg')
            found = True
    if not found:
        raise ValueError(f'{checkpoint} is not loaded by the config')


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
