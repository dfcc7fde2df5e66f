"""The downstream tasks: toolbox, features, data and config of each."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Sequence

from mmengine.config import Config

from gaia_ssl.config_file import check_config
from gaia_ssl.errors import UserError
from gaia_ssl.export.cityscapes_data import read_cityscapes
from gaia_ssl.export.class_folder_data import read_class_folders
from gaia_ssl.export.classification_config import fill_classifier
from gaia_ssl.export.coco_data import NoMasksError, read_coco
from gaia_ssl.export.detector_config import fill_detector
from gaia_ssl.export.downstream import downstream_config_path
from gaia_ssl.export.masks_data import read_masks
from gaia_ssl.export.run_summary import RunSummary, summarise_run
from gaia_ssl.export.segmentor_config import fill_segmentor
from gaia_ssl.export.task_data import TaskData
from gaia_ssl.export.voc_data import read_voc
from gaia_ssl.terminal import say

ALL = 'all'
DENSE = ('coco-mask-rcnn', 'voc-faster-rcnn-c4', 'cityscapes-fcn')
"""The tasks that ``all`` stands for: the paper's, each on data of its own layout."""
WITHOUT_MASKS = {'coco-mask-rcnn': 'coco-faster-rcnn'}
"""What to train in the place of a task where the annotations hold boxes alone."""


@dataclasses.dataclass(frozen=True)
class Task:
    """A kind of downstream training.

    Attributes:
        toolbox: Whose tools run it.
        features: Which features the search compares for it (a key of :data:`gaia_ssl.search.task.TASKS`).
        read: Finds and checks the user's data: ``read(config, folder, report)``.
        fill: Puts backbone and data into the config: ``fill(config, checkpoint, meta, data_root, classes, **settings)``.
    """

    toolbox: str
    features: str
    read: Callable[[Config, str, Callable[[str], None]], TaskData]
    fill: Callable[..., Config]


_CLASSIFICATION = Task('mmpretrain', 'z', read_class_folders, fill_classifier)
TASKS: dict[str, Task] = {
    'coco-mask-rcnn': Task('mmdet', 'c2-c5', read_coco, fill_detector),
    'coco-faster-rcnn': Task('mmdet', 'c2-c5', read_coco, fill_detector),
    'voc-faster-rcnn-c4': Task('mmdet', 'c5', read_voc, fill_detector),
    'voc-faster-rcnn': Task('mmdet', 'c2-c5', read_voc, fill_detector),
    'cityscapes-fcn': Task('mmseg', 'c4-c5', read_cityscapes, fill_segmentor),
    'segmentation': Task('mmseg', 'c4-c5', read_masks, fill_segmentor),
    'imagenet-linear': _CLASSIFICATION,
    'imagenet-semi-1p': _CLASSIFICATION,
    'imagenet-semi-10p': _CLASSIFICATION,
    'classification': _CLASSIFICATION,
}
"""Task -> what it takes. Names are those of the files in ``configs/downstream/``."""


@dataclasses.dataclass(frozen=True)
class PreparedTask:
    """A task with the user's data, before there is a backbone.

    Attributes:
        name: Of the task, and ``_small`` for that variant.
        task: What it takes.
        config: As the file in ``configs/downstream/`` says.
        data: The user's.
    """

    name: str
    task: Task
    config: Config
    data: TaskData

    @property
    def run(self) -> RunSummary:
        """What it amounts to."""
        return summarise_run(self.config, self.data.num_images)

    def fill(self, checkpoint: str | os.PathLike, meta: dict) -> Config:
        """The config that runs: with the backbone in ``checkpoint`` and the user's data.

        Raises:
            UserError: If the backbone does not fit, or a path or a class has a name that a config cannot hold.
        """
        config = self.task.fill(self.config, checkpoint, meta, self.data.root, self.data.classes, **self.data.settings)
        check_config(config)
        return config


def task_names(names: Sequence[str]) -> list[str]:
    """``names``, each once; ``all`` stands for :data:`DENSE`.

    Raises:
        UserError: If one is unknown.
    """
    for name in names:
        if name not in TASKS and name != ALL:
            raise UserError(f"'{name}' is not a downstream task; choose from {', '.join(TASKS)}, {ALL}")
    return list(dict.fromkeys(each for name in names for each in (DENSE if name == ALL else [name])))


def prepare_task(name: str, data: str, small: bool = False, report: Callable[[str], None] = say) -> PreparedTask:
    """Read a task's config and look at its data.

    Args:
        name: One of :data:`TASKS`.
        data: The task's data root, or a folder that holds it under its usual name.
        small: The variant for little data and time.
        report: Where progress goes.

    Returns:
        The task; that of :data:`WITHOUT_MASKS` where no annotation has a mask.

    Raises:
        UserError: If the data are missing or broken.
    """
    path = downstream_config_path(name, small)
    config = Config.fromfile(path)
    for mark in ('type', '_scope_'):  # for those who build on the file by gaia_ssl::
        config.pop(mark, None)
    try:
        return PreparedTask(path.stem, TASKS[name], config, TASKS[name].read(config, data, report))
    except NoMasksError as error:
        report(f'{error}: {WITHOUT_MASKS[name]} in the place of {name}')
        return prepare_task(WITHOUT_MASKS[name], data, small, report)
