"""A few pictures with annotations in the layouts of COCO, VOC and Cityscapes, and exports for them."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from mmengine.config import Config
from PIL import Image

from gaia_ssl import Arch, ArchSpace
from gaia_ssl.errors import UserError
from gaia_ssl.export import downstream_config_path, export_subnet, prepare_task
from gaia_ssl.export.task_data import TaskData
from gaia_ssl.export.tasks import TASKS
from tests import tiny

RESNET = Arch.parse('8-8x3-16x4-32x6-64x3')
"""ResNet-50 at an eighth of its width: ``base_channels=8`` of mmdet's and mmseg's own."""
RESNET_SPACE = ArchSpace(stem=(8, ), widths=((8, ), (16, ), (32, ), (64, )), depths=((3, ), (4, ), (6, ), (3, )))
WIDTH, HEIGHT = 64, 48


def coco(root: pathlib.Path, classes: Sequence[str] = ('box', 'disc'), counts: tuple[int, int] = (3, 2)) -> pathlib.Path:
    """Pictures with a rectangle of each class; ids of categories as COCO has them, with gaps."""
    for split, count in zip(('train', 'val'), counts, strict=True):
        _pictures(root / f'{split}2017', [f'{index:012d}.jpg' for index in range(count)])
        images = [dict(id=index, file_name=f'{index:012d}.jpg', width=WIDTH, height=HEIGHT) for index in range(count)]
        annotations = [
            dict(id=index * len(classes) + position + 1, image_id=index, category_id=2 * position + 1, iscrowd=0, area=24 * 16,
                 bbox=[8 + 4 * position, 8, 24, 16],
                 segmentation=[[8 + 4 * position, 8, 32 + 4 * position, 8, 32 + 4 * position, 24, 8 + 4 * position, 24]])
            for index in range(count) for position in range(len(classes))]
        categories = [dict(id=2 * position + 1, name=name) for position, name in enumerate(classes)]
        path = root / 'annotations' / f'instances_{split}2017.json'
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(dict(images=images, annotations=annotations, categories=categories)))
    return root


def voc(root: pathlib.Path, years: Sequence[str] = ('VOC2007', 'VOC2012')) -> pathlib.Path:
    """Pictures with a cat and a dog each; the first has a box of no size and two outside the picture, in part and whole."""
    for year in years:
        names = {'trainval': ['000', '001', '002'], 'test': ['100', '101']}
        _pictures(root / year / 'JPEGImages', [f'{name}.jpg' for split in names.values() for name in split])
        for split, listed in names.items():
            path = root / year / 'ImageSets' / 'Main' / f'{split}.txt'
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text('\n'.join(listed) + '\n')
            for name in listed:
                boxes = [('cat', 5, 5, 40, 30), ('dog', 20, 10, 60, 45)]
                if name == '000':
                    boxes += [('cat', 7, 9, 7, 9), ('dog', 50, 30, WIDTH + 20, HEIGHT + 30), ('cat', 90, 80, 99, 95)]
                write_xml(root / year / 'Annotations' / f'{name}.xml', boxes)
    return root


def write_xml(path: pathlib.Path, boxes: Sequence[tuple]) -> None:
    """An annotation in VOC's format; ``boxes`` are class, xmin, ymin, xmax, ymax."""
    objects = ''.join(f'<object><name>{name}</name><difficult>0</difficult><bndbox><xmin>{x1}</xmin><ymin>{y1}</ymin>'
                      f'<xmax>{x2}</xmax><ymax>{y2}</ymax></bndbox></object>' for name, x1, y1, x2, y2 in boxes)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f'<annotation><size><width>{WIDTH}</width><height>{HEIGHT}</height><depth>3</depth></size>'
                    f'{objects}</annotation>')


def cityscapes(root: pathlib.Path, suffix: str = '.png') -> pathlib.Path:
    """Pictures of a road below the sky, and an ignored stripe."""
    labels = np.full((HEIGHT, WIDTH), 10, dtype=np.uint8)
    labels[HEIGHT // 2:], labels[:, :4] = 0, 255
    for split, count in (('train', 4), ('val', 2)):
        names = [f'{index:03d}' for index in range(count)]
        _pictures(root / 'leftImg8bit' / split / 'town', [f'{name}_leftImg8bit{suffix}' for name in names])
        folder = root / 'gtFine' / split / 'town'
        folder.mkdir(parents=True, exist_ok=True)
        for name in names:
            Image.fromarray(labels).save(folder / f'{name}_gtFine_labelTrainIds.png')
    return root


def masks(root: pathlib.Path, beside: bool = False, labels: Sequence[int] = (0, 1, 2, 255)) -> pathlib.Path:
    """Pictures with an indexed mask each, stripes of ``labels``; in ``images/`` and ``masks/``, or ``beside`` one another."""
    stripes = np.repeat(np.array(labels, dtype=np.uint8), WIDTH // len(labels))
    mask = Image.fromarray(np.tile(stripes, (HEIGHT, 1)))
    mask.putpalette([number % 256 for number in range(0, 7 * 768, 7)])
    for split, count in (('train', 4), ('val', 2)):
        images, folder = (root / split, ) * 2 if beside else (root / 'images' / split, root / 'masks' / split)
        _pictures(images, [f'{index:03d}.jpg' for index in range(count)])
        folder.mkdir(parents=True, exist_ok=True)
        for index in range(count):
            mask.save(folder / f'{index:03d}_mask.png')
    return root


def _quiet(line: str) -> None:
    pass


MAKERS = {'coco-mask-rcnn': coco, 'voc-faster-rcnn-c4': voc, 'cityscapes-fcn': cityscapes, 'coco-faster-rcnn': coco,
          'voc-faster-rcnn': voc, 'segmentation': masks}
PAPER = ('coco-mask-rcnn', 'voc-faster-rcnn-c4', 'cityscapes-fcn')
"""The tasks of the paper."""


def export(folder: pathlib.Path, tasks: Sequence[str] = PAPER, arch: Arch = RESNET, space: ArchSpace = RESNET_SPACE,
           small: bool = False) -> pathlib.Path:
    """An exported folder with the configs of ``tasks`` and tiny data for each; its ``backbone.pth``."""
    checkpoint = tiny.save_supernet(folder / 'supernet.pth', space=space, stem_kernel=7)
    prepared = [prepare_task(task, str(MAKERS[task](folder / 'data' / task)), small, report=_quiet) for task in tasks]
    images = tiny.photos(folder / 'images', 5)
    return export_subnet(str(checkpoint), arch, str(images), folder / 'out', resolution=64, batch_size=4, tasks=prepared,
                         report=_quiet)


def read(task: str, folder: str | pathlib.Path, small: bool = False,
         report: Callable[[str], None] = _quiet) -> TaskData:
    """What the reader of a task makes of ``folder``."""
    return TASKS[task].read(Config.fromfile(downstream_config_path(task, small)), str(folder), report)


def refused(task: str, folder: str | pathlib.Path, message: str, small: bool = False) -> None:
    """Reading ``folder`` ends in one line that matches ``message``."""
    with pytest.raises(UserError, match=message) as info:
        read(task, folder, small)
    assert '\n' not in str(info.value)


def edit(path: pathlib.Path, change: Callable[[dict], object]) -> None:
    """Change the content of a JSON file."""
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def _pictures(folder: pathlib.Path, names: Sequence[str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    for name in names:
        grid = rng.integers(0, 256, (4, 5, 3), dtype=np.uint8)
        Image.fromarray(grid).resize((WIDTH, HEIGHT), Image.BICUBIC).save(folder / name)
