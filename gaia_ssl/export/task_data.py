"""The user's data of a downstream task: found, checked and counted before anything is computed."""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Sequence

import numpy as np
from mmengine.config import Config
from PIL import Image

from gaia_ssl.datasets import ImageFolder
from gaia_ssl.datasets.batches import evenly_spaced
from gaia_ssl.datasets.classes import common_classes
from gaia_ssl.errors import UserError
from gaia_ssl.export.backbone_config import datasets_of
from gaia_ssl.progress import Progress

CITYSCAPES_CLASSES = ('road', 'sidewalk', 'building', 'wall', 'fence', 'pole', 'traffic light', 'traffic sign', 'vegetation',
                      'terrain', 'sky', 'person', 'rider', 'car', 'truck', 'bus', 'train', 'motorcycle', 'bicycle')
_IGNORED = 255
_MIN_SIZE = 32  # of an image's shorter side, as in the configs' filter_cfg
Report = Callable[[str], None]


@dataclasses.dataclass(frozen=True)
class TaskData:
    """What there is of a task's data.

    Attributes:
        root: The config's ``data_root``.
        classes: Names of the classes, in the order of their labels.
        images: Folder of the training images, to recalibrate batch norm on.
        names: Which files in it are training images, without suffix; None for all.
        num_images: How many images there are to train on.
    """

    root: str
    classes: tuple[str, ...]
    images: str
    names: frozenset[str] | None
    num_images: int


def read_class_folders(config: Config, folder: str, report: Report = print) -> TaskData:
    """Labelled images in ``train/CLASS/`` and ``val/CLASS/``, of which a list may name those to train on.

    Raises:
        UserError: If there is no image or no list, or training and validation differ in their classes.
    """
    root = _find_root(folder, 'train', ('imagenet', 'imagenette'))
    train, val = (config[loader].dataset for loader in ('train_dataloader', 'val_dataloader'))
    classes = common_classes(root / train.data_prefix, root / val.data_prefix)
    data = ImageFolder(str(root), train.data_prefix, with_label=True, ann_file=train.get('ann_file', ''), pipeline=[])
    return TaskData(str(root), tuple(classes), str(root / train.data_prefix), None, len(data))


def read_coco(config: Config, folder: str, report: Report = print) -> TaskData:
    """Data in COCO's layout, ``annotations/instances_*2017.json`` with ``train2017/`` and ``val2017/``.

    Raises:
        UserError: If a file is missing or broken, or training and validation differ in their categories.
    """
    root = _find_root(folder, 'annotations', ('coco', ))
    contents, files = {}, {}
    for loader in ('train_dataloader', 'val_dataloader'):
        dataset = config[loader].dataset
        files[loader] = root / dataset.ann_file
        contents[loader] = _read_coco_file(files[loader], root / dataset.data_prefix.img)
    train, val = contents.values()
    if _categories(train) != _categories(val):
        raise UserError(f"{files['val_dataloader']}: its categories are not those of {files['train_dataloader'].name}; "
                        'annotate both with the same categories, in the same order')
    annotated = {annotation['image_id'] for annotation in train['annotations']}
    num_images = sum(image['id'] in annotated and min(image['height'], image['width']) >= _MIN_SIZE
                     for image in train['images'])
    _check_not_empty(num_images, files['train_dataloader'])
    return TaskData(str(root), tuple(name for _, name in _categories(train)),
                    str(root / config.train_dataloader.dataset.data_prefix.img), None, num_images)


def _read_coco_file(path: pathlib.Path, images: pathlib.Path) -> dict:
    _check_file(path)
    try:
        content = json.loads(path.read_text(encoding='utf-8'))
        categories = {category['id'] for category in content['categories']}
        unknown = [annotation for annotation in content['annotations'] if annotation['category_id'] not in categories]
        names = [image['file_name'] for image in content['images'] if {'id', 'height', 'width'} <= image.keys()]
        labels = [category['name'] for category in content['categories']]
        without = next((annotation for annotation in content['annotations'] if _lacks_mask(annotation)), None)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f'{path}: not COCO annotations ({type(error).__name__}: {error})') from error
    if len(names) < len(content['images']):
        raise UserError(f'{path}: not COCO annotations (an image has no id, height or width)')
    if unknown:
        raise UserError(f"{path}: annotation {unknown[0].get('id')} is of category {unknown[0]['category_id']}, which the file "
                        'does not list; mend its categories')
    if without is not None:
        raise UserError(f"{path}: annotation {without.get('id')} has a box and no mask (its segmentation is missing or empty), "
                        'which Mask R-CNN is trained on; give it one, or take it out')
    if not labels or len(set(labels)) < len(labels):
        raise UserError(f'{path}: lists {"a category twice" if labels else "no category"}; mend its categories')
    there = set(os.listdir(images)) if images.is_dir() else set()
    missing = [name for name in names if name not in there and not (images / name).is_file()]
    if missing:
        raise UserError(f'{images}: {len(missing)} of the {len(names)} images of {path.name} are missing, first of all '
                        f'{missing[0]}')
    return content


def _lacks_mask(annotation: dict) -> bool:
    """Raises KeyError if what mmdet reads of every annotation is not there."""
    _, (_, _, width, height) = annotation['image_id'], annotation['bbox']
    return annotation['area'] > 0 and width >= 1 and height >= 1 and not annotation.get('segmentation')


def _categories(content: dict) -> list[tuple[int, str]]:
    return [(category['id'], category['name']) for category in content['categories']]


def read_voc(config: Config, folder: str, report: Report = print) -> TaskData:
    """Data in VOC's layout, ``VOC2007/`` and for the full size ``VOC2012/``; the classes are those of the XML files.

    Raises:
        UserError: If a file is missing or broken, or the test images have a class that the training images have not.
    """
    root = _find_root(folder, 'VOC2007', ('VOCdevkit', 'voc/VOCdevkit'))
    train, test = ([_voc_split(root, dataset) for dataset in datasets_of(config, loader)]
                   for loader in ('train_dataloader', 'test_dataloader'))
    progress = Progress(sum(len(xml_files) for _, xml_files in train + test), 'annotations', report)
    classes, num_images = set(), 0
    for list_file, xml_files in train:
        in_use = [found for path in xml_files if (found := _classes_of_xml(path, progress))]
        _check_not_empty(len(in_use), list_file)
        num_images += len(in_use)
        classes.update(*in_use)
    for list_file, xml_files in test:
        new = set().union(*(_classes_of_xml(path, progress) for path in xml_files)) - classes
        if new:
            raise UserError(f"{list_file}: its images have the class '{min(new)}', which no training image has; mend the "
                            'annotations or the lists')
    names = frozenset(path.stem for _, xml_files in train for path in xml_files)
    return TaskData(str(root), tuple(sorted(classes)), str(root / 'VOC2007' / 'JPEGImages'), names, num_images)


def _voc_split(root: pathlib.Path, dataset: dict) -> tuple[pathlib.Path, list[pathlib.Path]]:
    """The list of a split, and the XML files of its images; all images are there."""
    list_file, part = root / dataset['ann_file'], root / dataset['data_prefix']['sub_data_root']
    _check_file(list_file, hint='; the small variant (--small) takes VOC2007 alone' if 'VOC2012' in str(list_file) else '')
    identifiers = list_file.read_text(encoding='utf-8').split()
    for identifier in identifiers:
        _check_file(part / 'Annotations' / f'{identifier}.xml', hint=f', which {list_file} names')
        _check_file(part / 'JPEGImages' / f'{identifier}.jpg', hint=f', which {list_file} names')
    _check_not_empty(len(identifiers), list_file)
    return list_file, [part / 'Annotations' / f'{identifier}.xml' for identifier in identifiers]


def _classes_of_xml(path: pathlib.Path, progress: Progress) -> set[str]:
    """Classes of an image's objects; none where the image is too small to be taken."""
    progress.advance()
    try:
        root = ElementTree.parse(path).getroot()
        if min(int(root.find(f'size/{side}').text) for side in ('width', 'height')) < _MIN_SIZE:
            return set()
        return {thing.find('name').text for thing in root.findall('object') if _box(thing)}
    except (ElementTree.ParseError, AttributeError, TypeError, ValueError) as error:
        raise UserError(f'{path}: not an annotation in VOC\'s format ({type(error).__name__}: {error})') from error


def _box(thing: ElementTree.Element) -> list[float]:
    return [float(thing.find(f'bndbox/{bound}').text) for bound in ('xmin', 'ymin', 'xmax', 'ymax')]


def read_cityscapes(config: Config, folder: str, report: Report = print) -> TaskData:
    """Data in Cityscapes' layout, ``leftImg8bit/`` and ``gtFine/`` with ``train/`` and ``val/``.

    Labels of some images, evenly spaced, are looked at.

    Raises:
        UserError: If images or labels are missing, or a label is none of the 19 classes.
    """
    root = _find_root(folder, 'leftImg8bit', ('cityscapes', ))
    counts = []
    for loader in ('train_dataloader', 'val_dataloader'):
        prefix = config[loader].dataset.data_prefix
        images, labels = root / prefix.img_path, root / prefix.seg_map_path
        suffix = cityscapes_image_suffix(images)
        paths = sorted(images.rglob(f'*{suffix}'))
        maps = [labels / str(path.relative_to(images)).replace(suffix, '_gtFine_labelTrainIds.png') for path in paths]
        for path in maps:
            _check_file(path, hint="; cityscapesScripts' csCreateTrainIdLabelImgs makes it from the annotation")
        for index in evenly_spaced(len(maps), 16):
            _check_labels(maps[index])
        counts.append(len(paths))
    images = root / config.train_dataloader.dataset.data_prefix.img_path
    return TaskData(str(root), CITYSCAPES_CLASSES, str(images), None, counts[0])


def cityscapes_image_suffix(folder: str | os.PathLike) -> str:
    """How the names of the images in ``folder`` end, e.g. ``_leftImg8bit.png``.

    Raises:
        UserError: If there is none, or their formats differ.
    """
    suffixes = {path.suffix for path in pathlib.Path(folder).rglob('*_leftImg8bit.*')}
    if len(suffixes) != 1:
        raise UserError(f'{folder}: holds {"images of several formats" if suffixes else "no image"}; give images named '
                        'CITY/*_leftImg8bit.png (or all .jpg)')
    return f'_leftImg8bit{suffixes.pop()}'


def _check_labels(path: pathlib.Path) -> None:
    try:
        labels = np.unique(np.asarray(Image.open(path)))
    except (OSError, SyntaxError) as error:  # of a broken PNG, either
        raise UserError(f'{path}: cannot be read ({error})') from error
    wrong = [label for label in labels.tolist() if label >= len(CITYSCAPES_CLASSES) and label != _IGNORED]
    if wrong:
        raise UserError(f'{path}: has the label {wrong[0]}, which is no class; give train ids, 0 to '
                        f'{len(CITYSCAPES_CLASSES) - 1}, or {_IGNORED} for none')


def _find_root(folder: str, marker: str, usual: Sequence[str]) -> pathlib.Path:
    """``folder``, or one of its usual sub-folders: the first that holds ``marker``."""
    base = pathlib.Path(folder).expanduser()
    for root in (base, *(base / name for name in usual)):
        if (root / marker).is_dir():
            return root.resolve()
    places = ' nor '.join(str(base / name / marker) for name in ('', *usual))
    raise UserError(f'{folder}: no data of this task in it: neither {places} is there; give the folder that holds {marker}/')


def _check_file(path: pathlib.Path, hint: str = '') -> None:
    if not path.is_file():
        raise UserError(f'{path}: no such file{hint}')


def _check_not_empty(count: int, path: pathlib.Path) -> None:
    if not count:
        raise UserError(f'{path}: has no image with an object; give annotated images')
