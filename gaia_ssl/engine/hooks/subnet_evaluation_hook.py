"""Judges some subnets while the supernet trains."""

from __future__ import annotations

import datetime
import pathlib
from collections.abc import Sequence
from typing import Any

from mmengine.dist import barrier, is_distributed, is_main_process
from mmengine.hooks import Hook
from mmengine.runner import EpochBasedTrainLoop, Runner
from torch import distributed

from gaia_ssl.datasets.center_crops import CenterCrops
from gaia_ssl.engine.hooks.supernet_of import supernet_of
from gaia_ssl.engine.training_images import images_of
from gaia_ssl.errors import UserError
from gaia_ssl.evaluation.judge_history import JudgeHistory
from gaia_ssl.evaluation.subnet_judge import find_collapse, judge_subnet
from gaia_ssl.file_choice import FileChoice
from gaia_ssl.models.algorithms import Supernet
from gaia_ssl.models.supernet_meta import supernet_meta
from gaia_ssl.pixel_range import PixelRange
from gaia_ssl.registry import HOOKS
from gaia_ssl.space import Arch, ArchSpace

HISTORY = 'subnets.csv'
PATIENCE = datetime.timedelta(days=7)
"""How long processes wait for the one that judges; those of NCCL would end the run after ten minutes."""


@HOOKS.register_module()
class SubnetEvaluationHook(Hook):
    """Judges the max, the min and given subnets before training, every ``interval`` epochs, and at the end.

    See :func:`gaia_ssl.evaluation.judge_subnet` for the measures. They go to the log, to the Runner's visualizer as
    ``knn/max``, ``std/32-48x2-…`` and so on, and into the work folder: ``subnets.csv``, with which a resumed run goes
    on, and ``subnets.png``. A subnet that collapses, or is no longer finite, is named in a warning. The training goes on
    as it would without this hook, to the bit. The main process judges, others wait. Images are read by as many workers as the
    training's.

    Args:
        train: Folder of images to recalibrate batch norm on and to embed, in any tree; with ``val``, a folder a class.
        val: Folder of labelled images, a folder a class, for the kNN accuracy; without it there is none.
        interval: Epochs from one time to the next, or iterations.
        by_epoch: Whether ``interval`` counts epochs; say False where the training does not.
        archs: Further subnets, on the space's grid or not.
        num_images, num_val_images: So many of each folder, evenly spaced; None takes all. They stay in memory.
        resolution: Side of the images in pixels; default that of the training's views, or 224 where no transform tells it.
        include, exclude: Patterns of the files to take and to leave out; default those of the training's images.
        batch_size: Images a batch.
        k: Neighbours of the kNN.
        min_rankme, min_std: Below either a subnet has collapsed. Of a ResNet with random weights the std is about 0.4.
        max_unreadable: The share of unreadable images above which the run stops.

    Example::

        dict(type='gaia_ssl.SubnetEvaluationHook', train='data/imagenette/train', val='data/imagenette/val', interval=5)

    Raises:
        UserError: Before training starts, if a folder, a class or an arch is not there, or a number is out of range.
    """

    priority = 'LOWEST'  # after the checkpoint is written

    def __init__(self,
                 train: str,
                 val: str | None = None,
                 interval: int = 1,
                 by_epoch: bool = True,
                 archs: Sequence[str] = (),
                 num_images: int | None = 1024,
                 num_val_images: int | None = 1024,
                 resolution: int | None = None,
                 include: str | Sequence[str] | None = None,
                 exclude: str | Sequence[str] | None = None,
                 batch_size: int = 64,
                 k: int = 20,
                 min_rankme: float = 2.0,
                 min_std: float = 0.1,
                 max_unreadable: float = 0.01) -> None:
        if interval < 1 or k < 1:
            raise UserError(f'SubnetEvaluationHook: interval is {interval} and k is {k}; both are 1 or more')
        self.train, self.val = train, val
        self.interval = interval
        self.by_epoch = by_epoch
        self.archs = [archs] if isinstance(archs, str) else list(archs)
        self.num_images, self.num_val_images = num_images, num_val_images
        self.resolution = resolution
        self.files = {name: value for name, value in (('include', include), ('exclude', exclude)) if value is not None}
        self.crops: dict[str, Any] = dict(batch_size=batch_size, with_label=val is not None, max_unreadable=max_unreadable,
                                          keep=True)
        self.k = k
        self.bounds = dict(min_rankme=min_rankme, min_std=min_std)

    def before_train(self, runner: Runner) -> None:
        """Check the settings; judge what training starts from, or what a resumed run had no time to judge."""
        if self.by_epoch and not isinstance(runner.train_loop, EpochBasedTrainLoop):
            raise UserError('SubnetEvaluationHook counts epochs, and this training goes by iterations; give it by_epoch=False '
                            'and an interval in iterations')
        model = supernet_of(runner, self)
        self.subnets = name_subnets(model.backbone.space, self.archs)
        self._open_images(model, runner)
        # Of gloo on any device, for the patience.
        self._waiting = distributed.new_group(backend='gloo', timeout=PATIENCE) if is_distributed() else None
        self.history = JudgeHistory(pathlib.Path(runner.work_dir) / HISTORY, until=runner.iter)
        if (runner.epoch if self.by_epoch else runner.iter) % self.interval == 0:
            self._judge(runner, runner.epoch, runner.iter)

    def after_train_epoch(self, runner: Runner) -> None:
        """Judge every ``interval`` epochs."""
        if self.by_epoch and self.every_n_epochs(runner, self.interval):
            self._judge(runner, runner.epoch + 1, runner.iter)

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: dict | None = None,
                         outputs: dict | None = None) -> None:
        """Judge every ``interval`` iterations, if these are what counts."""
        if not self.by_epoch and self.every_n_train_iters(runner, self.interval):
            self._judge(runner, runner.epoch, runner.iter + 1)

    def after_train(self, runner: Runner) -> None:
        """Judge what training ends with."""
        self._judge(runner, runner.epoch, runner.iter)

    def _open_images(self, model: Supernet, runner: Runner) -> None:
        """On all processes alike, so that none waits for one that an error has stopped."""
        meta, trained = supernet_meta(model), images_of(runner)
        files = FileChoice.of(trained.get('files')).patterns.arguments()
        crops = dict(self.crops, mean=meta['mean'], std=meta['std'], to_rgb=meta['to_rgb'],
                     pixel_range=PixelRange.of(trained.get('pixel_range')), report=runner.logger.info,
                     resolution=trained.get('resolution', 224) if self.resolution is None else self.resolution,
                     choice=FileChoice.of({**files, **self.files}), num_workers=runner.train_dataloader.num_workers)
        self.images = CenterCrops(self.train, max_images=self.num_images, **crops)
        self.labelled: dict[str, Any] = {}
        if self.val is not None:
            val = CenterCrops(self.val, max_images=self.num_val_images, **crops)
            self.labelled = dict(labels=self.images.classes, val_batches=val, val_labels=val.classes, k=self.k)
            self._check_classes()
        found, fewest = len(self.images.indices), self.k if self.labelled else 2
        if found < fewest:
            raise UserError(f'{self.train}: {found} images are too few to judge by, it takes {fewest}; raise num_images, or '
                            'lower k for the kNN')

    def _check_classes(self) -> None:
        known, asked = (set(self.labelled[name]) for name in ('labels', 'val_labels'))
        if len(known) < 2:
            raise UserError(f'{self.train}: {len(self.images.indices)} images of one class, {min(known)}; kNN needs a folder '
                            'a class, or more num_images. Without labels, leave val out')
        if asked - known:
            raise UserError(f'{self.val}: class {min(asked - known)} is not among the {len(known)} of {self.train}; name the '
                            'class folders alike, or raise num_images')

    def _judge(self, runner: Runner, epoch: int, iteration: int) -> None:
        """Judge all subnets on the main process, unless it has been done."""
        if is_main_process() and not self.history.has(iteration):
            self._judge_all(runner, epoch, iteration)
        barrier(self._waiting)

    def _judge_all(self, runner: Runner, epoch: int, iteration: int) -> None:
        when = f'epoch {epoch}' if self.by_epoch else f'iteration {iteration}'
        runner.logger.info(f'{when}: judging {len(self.subnets)} subnets on {len(self.images.indices)} images')
        rows = []
        for name, arch in self.subnets.items():
            measures = judge_subnet(supernet_of(runner, self), arch, self.images, **self.labelled)
            rows.append(dict(epoch=epoch, iter=iteration, subnet=name, arch=str(arch), **measures))
            runner.logger.info(f'{when}, {describe(name, arch)}: ' + ', '.join(
                f'{measure} {value:.3g}' for measure, value in measures.items()))
            collapse = find_collapse(measures, **self.bounds)
            if collapse:
                runner.logger.warning(
                    f'{when}: the subnet {describe(name, arch)} {collapse}; lower the learning rate (the losses of all archs '
                    'of a step add up) or warm up longer, and go back to a checkpoint from before')
        runner.visualizer.add_scalars(
            {f'{measure}/{row["subnet"]}': row[measure] for row in rows for measure in measures}, step=iteration)
        self.history.add(rows)
        self.history.plot('epoch' if self.by_epoch else 'iter')


def name_subnets(space: ArchSpace, archs: Sequence[str]) -> dict[str, Arch]:
    """``max``, ``min``, and ``archs`` by their text form; each arch once.

    Raises:
        UserError: If a text is no arch, or its arch is larger than the supernet.
    """
    subnets: dict[str, Arch] = {}
    further = map(Arch.parse, archs)
    for name, arch in (('max', space.max), ('min', space.min), *((str(arch), arch) for arch in further)):
        space.check_fits(arch)
        if arch not in subnets.values():
            subnets[name] = arch
    return subnets


def describe(name: str, arch: Arch) -> str:
    """``max (64-…)``, or the arch alone if that is its name."""
    return name if name == str(arch) else f'{name} ({arch})'
