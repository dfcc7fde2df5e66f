"""One subnet judged on labelled images, by any of the usual protocols."""

from __future__ import annotations

import dataclasses
import functools
import os
import pathlib
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from mmengine.config import Config
from mmengine.device import get_device

from gaia_ssl.checkpoint import file_hash, save_checkpoint
from gaia_ssl.datasets.center_crops import CenterCrops
from gaia_ssl.datasets.classes import common_classes
from gaia_ssl.datasets.fingerprint import images_fingerprint
from gaia_ssl.engine.classifier_runs import set_batch_size, set_workers, train_and_test
from gaia_ssl.errors import UserError
from gaia_ssl.evaluation import calibrate_bn, knn_accuracy, linear_probe_accuracy
from gaia_ssl.evaluation.features import cached_features
from gaia_ssl.evaluation.knn import check_neighbours
from gaia_ssl.evaluation.splits import stratified_split, write_split
from gaia_ssl.export import downstream_config_path, fill_classifier, read_subnet
from gaia_ssl.export.calibration_files import set_patterns
from gaia_ssl.export.schedule import scale_schedule
from gaia_ssl.file_choice import FileChoice
from gaia_ssl.models.supernet_meta import trained_resolution
from gaia_ssl.pixel_range import PixelRange
from gaia_ssl.space import Arch
from gaia_ssl.terminal import say

TRAINED = {'linear': 'imagenet-linear', 'semi-1': 'imagenet-semi-1p', 'semi-10': 'imagenet-semi-10p',
           'finetune': 'classification'}
"""Protocols that train a classifier, and their downstream configs."""
SHARES = {'semi-1': 0.01, 'semi-10': 0.1}
"""Protocols that see a part of the labels."""
PROTOCOLS = ('knn', 'linear-fast', *TRAINED)
SEEDLESS = ('knn', 'linear-fast')
"""Protocols in which nothing is drawn."""
RUNS = 'runs'
"""Folder of what is made on the way: the calibrated backbone, lists of images, runs."""


@dataclasses.dataclass(frozen=True)
class JudgeSettings:
    """How to judge; None leaves a protocol's config as it is.

    Args:
        resolution: Side of the images in pixels; default that of the export or the training, or 224 (32 with the 3x3 stem).
        k: Neighbours of kNN.
        small: Take the configs' small variants.
        epochs: Length of the training, its schedule in proportion.
        batch_size: Images a batch of the training, its learning rate in proportion.
        lr: Learning rate, as it is.
        head_lr_mult: Multiple of it for the head, semi-supervised.
        calibration_images: Images to calibrate batch norm on, at most; 0 keeps the statistics of an exported backbone.
        max_unreadable: The share of unreadable images to accept.
        include, exclude: Patterns of the files to take, and not to.
    """

    resolution: int | None = None
    k: int = 20
    small: bool = False
    epochs: int | None = None
    batch_size: int | None = None
    lr: float | None = None
    head_lr_mult: float | None = None
    calibration_images: int = 1024
    max_unreadable: float = 0.01
    include: Sequence[str] = ()
    exclude: Sequence[str] = ()

    def __post_init__(self) -> None:
        for name in ('resolution', 'epochs', 'batch_size', 'lr', 'head_lr_mult'):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise UserError(f'{name} is {value}; give a number above 0')
        if self.calibration_images < 0:
            raise UserError(f'calibration_images is {self.calibration_images}; give 0 or more')
        if not 0 <= self.max_unreadable <= 1:
            raise UserError(f'max_unreadable is {self.max_unreadable}; give a share from 0 to 1')


class Judge:
    """Judges one subnet on the images of ``data``.

    What is wrong with either shows in the constructor and in :meth:`check`, before any work.

    Args:
        checkpoint: An exported backbone, or a supernet's checkpoint.
        data: Folder with ``train/CLASS/`` and a folder of the same classes for the test.
        settings: How to judge.
        arch: Which subnet; default the one in the file, or the supernet's largest.
        val: Name of the folder for the test.
        workers: Processes that read images.
        report: Where lines for the user go.

    Raises:
        UserError: If the checkpoint or the data cannot be used.
    """

    def __init__(self, checkpoint: str, data: str, settings: JudgeSettings, arch: Arch | None = None, val: str = 'val',
                 workers: int = 2, report: Callable[[str], None] = say) -> None:
        if workers < 0:
            raise UserError(f'workers is {workers}; give 0 or more')
        self.settings = settings
        self._checkpoint, self._data, self._val_name = checkpoint, data, val
        self._workers, self._report = workers, report
        self._choice = FileChoice.of(dict(include=settings.include, exclude=settings.exclude))
        self._subnet, self.meta = read_subnet(checkpoint, arch)
        if not settings.calibration_images and 'calibration' not in self.meta:
            raise UserError(f"{checkpoint}: a supernet's batch norms have to be calibrated; give calibration images")
        self.resolution = trained_resolution(self.meta) if settings.resolution is None else settings.resolution
        self._train_folder, self._val_folder = (os.path.join(data, name) for name in ('train', val))
        self.classes = common_classes(self._train_folder, self._val_folder)
        self.train, self.val = (self._crops(folder, with_label=True) for folder in (self._train_folder, self._val_folder))

    def check(self, protocol: str) -> None:
        """Raise UserError if ``protocol`` is unknown, or the data or the settings do not suit it."""
        if protocol not in PROTOCOLS:
            raise UserError(f"'{protocol}' is not a protocol; choose from {', '.join(PROTOCOLS)}")
        if protocol == 'knn':
            check_neighbours(len(self.train.indices), self.settings.k)
        if protocol in SHARES:
            self._split(protocol, seed=0)
        elif self.settings.head_lr_mult is not None:
            raise UserError(f"head_lr_mult is a setting of {' and '.join(SHARES)}, not of {protocol}; leave it out")

    def description(self) -> dict[str, Any]:
        """What is judged, on what, and how, in plain values."""
        prints = {name: dict(images=len(images.indices), sha256=self._fingerprints[name])
                  for name, images in (('train', self.train), ('val', self.val))}
        patterns = dict(include=list(self.settings.include), exclude=list(self.settings.exclude))
        return dict(arch=self.meta['arch'], checkpoint_sha256=file_hash(self._checkpoint), classes=self.classes, **prints,
                    **{**dataclasses.asdict(self.settings), **patterns, 'resolution': self.resolution})

    def prepare(self, work_dir: str | os.PathLike) -> None:
        """Calibrate batch norm and write the backbone into ``work_dir``, or read the one that lies there."""
        self._work_dir = pathlib.Path(work_dir)
        if self._backbone.is_file():
            self._subnet, self.meta = read_subnet(str(self._backbone))
            return
        if self.settings.calibration_images:
            images = self._crops(self._train_folder, max_images=self.settings.calibration_images, announce=False)
            self._report(f'calibrating batch norm on {len(images.indices)} images of {images.folder}')
            calibrate_bn(self._subnet.to(get_device()), images)
            self.meta['calibration'] = dict(images=len(images.indices), batch_size=images.batch_size,
                                            resolution=self.resolution)
        self._subnet.cpu()
        save_checkpoint(dict(state_dict=self._subnet.state_dict(), meta=dict(gaia_ssl=self.meta)), self._backbone)

    def score(self, protocol: str, seed: int | None) -> dict[str, Any]:
        """Judge by ``protocol`` after :meth:`prepare`: ``top1`` in [0, 1], and what is to know of it.

        Args:
            protocol: One of :data:`PROTOCOLS`.
            seed: Of the split, the head and the order of images; None for a protocol in :data:`SEEDLESS`.
        """
        start = time.monotonic()
        if protocol in TRAINED:
            assert seed is not None
            result = self._score_by_training(protocol, seed)
        else:
            features = self._features
            accuracy = knn_accuracy(*features, k=self.settings.k) if protocol == 'knn' else linear_probe_accuracy(*features)
            result = dict(top1=accuracy)
        return dict(result, seconds=round(time.monotonic() - start, 1))

    @property
    def _backbone(self) -> pathlib.Path:
        return self._work_dir / RUNS / 'backbone.pth'

    def _crops(self, folder: str, **kwargs: Any) -> CenterCrops:
        return CenterCrops(folder, self.meta['mean'], self.meta['std'], self.meta['to_rgb'], self.resolution,
                           max_unreadable=self.settings.max_unreadable, device=get_device(), num_workers=self._workers,
                           choice=self._choice, pixel_range=PixelRange.of(self.meta.get('pixel_range')), report=self._report,
                           **kwargs)

    @functools.cached_property
    def _fingerprints(self) -> dict[str, str]:
        return {name: images_fingerprint(images.paths, images.folder, self._report)
                for name, images in (('train', self.train), ('val', self.val))}

    @functools.cached_property
    def _features(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Features and labels for training, then for the test."""
        net, folder = self._subnet.to(get_device()), self._work_dir / 'features'
        train, val = (cached_features(net, images, self._fingerprints[name], folder)
                      for name, images in (('train', self.train), ('val', self.val)))
        return train, np.array(self.train.labels), val, np.array(self.val.labels)

    def _split(self, protocol: str, seed: int) -> list[int]:
        return stratified_split(self.train.labels, self.classes, SHARES[protocol], seed)

    def _score_by_training(self, protocol: str, seed: int) -> dict[str, Any]:
        run = self._work_dir / RUNS / f'{protocol}_seed{seed}'
        config = self._config(protocol, seed, run)
        metrics = train_and_test(config, run)
        result = {name.removeprefix('accuracy/'): value / 100 for name, value in metrics.items()}
        return dict(result, epochs=config.train_cfg.max_epochs, batch_size=config.train_dataloader.batch_size,
                    lr=config.optim_wrapper.optimizer.lr)

    def _config(self, protocol: str, seed: int, run: pathlib.Path) -> Config:
        """The protocol's downstream config, filled in and scaled."""
        settings = self.settings
        config = Config.fromfile(downstream_config_path(TRAINED[protocol], settings.small))
        config = fill_classifier(config, self._backbone, self.meta, self._data, self.classes, self.resolution)
        for loader in (config.val_dataloader, config.test_dataloader):
            loader.dataset.data_prefix = self._val_name
        set_patterns(config, self._choice)
        images = len(self.train.indices)
        if protocol in SHARES:
            indices = self._split(protocol, seed)
            files = [os.path.relpath(path, self._train_folder) for path in self.train.paths]
            split = run.with_suffix('.txt')
            write_split(split, files, self.train.labels, indices)
            config.train_dataloader.dataset.ann_file = os.path.abspath(split)
            images = len(indices)
        if settings.head_lr_mult is not None:
            config.optim_wrapper.paramwise_cfg.custom_keys.head.lr_mult = settings.head_lr_mult
        scale_schedule(config, settings.epochs or config.train_cfg.max_epochs)
        set_batch_size(config, settings.batch_size or config.auto_scale_lr.base_batch_size, images, settings.lr)
        set_workers(config, self._workers)
        for hook in config.custom_hooks:
            if hook.type == 'gaia_ssl.UnreadableImagesHook':
                hook.max_unreadable = settings.max_unreadable
        config.randomness = dict(seed=seed)
        config.experiment_name = f'{run.parent.parent.name}_{run.name}'
        return config
