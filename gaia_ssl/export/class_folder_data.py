"""Data of a classification, a folder a class: found, checked and counted before anything is computed."""

from __future__ import annotations

import os
import pathlib

from mmengine.config import Config

from gaia_ssl.datasets import ImageFolder
from gaia_ssl.datasets.channel_pipeline import CHANNEL_EXTENSIONS
from gaia_ssl.datasets.classes import common_classes
from gaia_ssl.errors import UserError
from gaia_ssl.export.task_data import Report, TaskData, find_root
from gaia_ssl.terminal import say


def read_class_folders(config: Config, folder: str, report: Report = say) -> TaskData:
    """Labelled images in ``train/CLASS/`` and ``val/CLASS/``, of which a list may name those to train on.

    Raises:
        UserError: If there is no image or no list, training and validation differ in their classes, or the list names a file
            that is not there or numbers the classes in another way.
    """
    root = find_root(folder, 'train', ('imagenet', 'imagenette'))
    train, val = (config[loader].dataset for loader in ('train_dataloader', 'val_dataloader'))
    classes = common_classes(root / train.data_prefix, root / val.data_prefix)
    data = ImageFolder(str(root), train.data_prefix, with_label=True, ann_file=train.get('ann_file', ''), pipeline=[],
                       extensions=CHANNEL_EXTENSIONS, metainfo=dict(classes=classes))
    samples = [(info['img_path'], int(info['gt_label'])) for info in map(data.get_data_info, range(len(data)))]
    if data.ann_file:
        _check_list(samples, classes, root / train.data_prefix, data.ann_file)
    empty = sorted(set(range(len(classes))) - {label for _, label in samples})
    if empty:
        report(f"note: no training image of {len(empty)} of the {len(classes)} classes, e.g. '{classes[empty[0]]}'")
    return TaskData(str(root), tuple(classes), str(root / train.data_prefix), None, len(data))


def _check_list(samples: list[tuple[str, int]], classes: list[str], images: pathlib.Path, list_file: str) -> None:
    """The validation numbers the classes by their folders, and so must the list of the training."""
    numbers = {name: number for number, name in enumerate(classes)}
    for path, label in samples:
        first = pathlib.Path(os.path.relpath(path, images)).parts[0]
        if numbers.get(first, label) != label:
            raise UserError(f"{list_file}: gives {os.path.basename(path)} the class {label}, but its folder '{first}' is "
                            f'number {numbers[first]}; number the classes from 0, sorted by name')
        if not os.path.isfile(path):
            raise UserError(f'{path}: no such file, which {list_file} names')
