"""Data in Cityscapes' layout: found, checked and counted before anything is computed."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Iterator

import numpy as np
from mmengine.config import Config
from mmengine.fileio import list_dir_or_file
from PIL import Image

from gaia_ssl.datasets.batches import evenly_spaced
from gaia_ssl.errors import UserError
from gaia_ssl.export.task_data import Report, TaskData, check_file, find_root
from gaia_ssl.terminal import say

CITYSCAPES_CLASSES = ('road', 'sidewalk', 'building', 'wall', 'fence', 'pole', 'traffic light', 'traffic sign', 'vegetation',
                      'terrain', 'sky', 'person', 'rider', 'car', 'truck', 'bus', 'train', 'motorcycle', 'bicycle')
_IGNORED = 255


def read_cityscapes(config: Config, folder: str, report: Report = say) -> TaskData:
    """Data in Cityscapes' layout, ``leftImg8bit/`` and ``gtFine/`` with ``train/`` and ``val/``.

    Labels of some images, evenly spaced, are looked at.

    Raises:
        UserError: If images or labels are missing, or a label is none of the 19 classes.
    """
    root = find_root(folder, 'leftImg8bit', ('cityscapes', ))
    counts = []
    for loader in ('train_dataloader', 'val_dataloader'):
        prefix = config[loader].dataset.data_prefix
        images, labels = root / prefix.img_path, root / prefix.seg_map_path
        suffix = cityscapes_image_suffix(images)
        names = sorted(_files(images, suffix))
        maps = [labels / name.replace(suffix, '_gtFine_labelTrainIds.png') for name in names]
        for path in maps:
            check_file(path, hint="; cityscapesScripts' csCreateTrainIdLabelImgs makes it from the annotation")
        for index in evenly_spaced(len(maps), 16):
            _check_labels(maps[index])
        counts.append(len(names))
    images = root / config.train_dataloader.dataset.data_prefix.img_path
    return TaskData(str(root), CITYSCAPES_CLASSES, str(images), None, counts[0])


def cityscapes_image_suffix(folder: str | os.PathLike) -> str:
    """How the names of the images in ``folder`` end, e.g. ``_leftImg8bit.png``.

    Raises:
        UserError: If there is none, or their formats differ.
    """
    suffixes = {os.path.splitext(name)[1] for name in _files(folder) if '_leftImg8bit.' in os.path.basename(name)}
    if len(suffixes) != 1:
        raise UserError(f'{folder}: holds {"images of several formats" if suffixes else "no image"}; give images named '
                        'CITY/*_leftImg8bit.png (or all .jpg)')
    return f'_leftImg8bit{suffixes.pop()}'


def _files(folder: str | os.PathLike, suffix: str | None = None) -> Iterator[str]:
    """Paths inside ``folder`` as mmseg lists them: links are followed, hidden files left out."""
    if os.path.isdir(folder):
        yield from list_dir_or_file(str(folder), list_dir=False, suffix=suffix, recursive=True)


def _check_labels(path: pathlib.Path) -> None:
    try:
        labels = np.unique(np.asarray(Image.open(path)))
    except (OSError, SyntaxError) as error:  # of a broken PNG, either
        raise UserError(f'{path}: cannot be read ({error})') from error
    wrong = [label for label in labels.tolist() if label >= len(CITYSCAPES_CLASSES) and label != _IGNORED]
    if wrong:
        raise UserError(f'{path}: has the label {wrong[0]}, which is no class; give train ids, 0 to '
                        f'{len(CITYSCAPES_CLASSES) - 1}, or {_IGNORED} for none')
