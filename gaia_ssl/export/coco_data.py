"""Data in COCO's layout: found, checked and counted before anything is computed."""

from __future__ import annotations

import codecs
import os
import pathlib

from mmengine.config import Config

from gaia_ssl.errors import UserError
from gaia_ssl.export.task_data import MIN_SIZE, Report, TaskData, check_file, check_not_empty, find_root
from gaia_ssl.files import read_json
from gaia_ssl.terminal import say


class NoMasksError(UserError):
    """No annotation has a mask, and the task needs them."""


def read_coco(config: Config, folder: str, report: Report = say) -> TaskData:
    """Data in COCO's layout, ``annotations/instances_*2017.json`` with ``train2017/`` and ``val2017/``.

    Raises:
        NoMasksError: If the config has a mask head, and no annotation of training or validation has a mask.
        UserError: If a file is missing or broken, or training and validation differ in their categories.
    """
    root = find_root(folder, 'annotations', ('coco', ))
    contents, files, masks = {}, {}, 'mask_head' in config.model.roi_head
    for loader in ('train_dataloader', 'val_dataloader'):
        dataset = config[loader].dataset
        files[loader] = root / dataset.ann_file
        contents[loader] = _read(files[loader], root / dataset.data_prefix.img, loader == 'val_dataloader', masks)
    train, val = contents.values()
    if _categories(train) != _categories(val):
        raise UserError(f"{files['val_dataloader']}: its categories are not those of {files['train_dataloader'].name}; "
                        'annotate both with the same categories, in the same order')
    annotated = {annotation['image_id'] for annotation in train['annotations']}
    num_images = sum(image['id'] in annotated and min(image['height'], image['width']) >= MIN_SIZE
                     for image in train['images'])
    check_not_empty(num_images, files['train_dataloader'])
    check_not_empty(len(val['annotations']), files['val_dataloader'])
    return TaskData(str(root), tuple(name for _, name in _categories(train)),
                    str(root / config.train_dataloader.dataset.data_prefix.img), None, num_images)


def _read(path: pathlib.Path, images: pathlib.Path, tested: bool, masks: bool) -> dict:
    check_file(path)
    with path.open('rb') as file:
        if file.read(len(codecs.BOM_UTF8)) == codecs.BOM_UTF8:
            raise UserError(f'{path}: begins with a byte order mark, which pycocotools does not read; save it as UTF-8 without '
                            'one')
    try:
        content = read_json(path, 'COCO annotations', 'give annotations of objects')
        _check_images(content['images'], path, images)
        labels = [category['name'] for category in content['categories']]
        if not all(isinstance(label, str) and label for label in labels):
            raise TypeError('a category has no text as its name')
        if not labels or len(set(labels)) < len(labels):
            raise UserError(f'{path}: lists {"a category twice" if labels else "no category"}; mend its categories')
        _check_annotations(content, path, tested, masks)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f'{path}: not COCO annotations ({type(error).__name__}: {error})') from error
    return content


def _check_images(entries: list[dict], path: pathlib.Path, images: pathlib.Path) -> None:
    if not all('id' in image and _is_number(image.get('height')) and _is_number(image.get('width')) for image in entries):
        raise UserError(f'{path}: not COCO annotations (an image has no id, height or width)')
    there = set(os.listdir(images)) if images.is_dir() else set()
    names = [image['file_name'] for image in entries]
    missing = [name for name in names if name not in there and not (images / name).is_file()]
    if missing:
        raise UserError(f'{images}: {len(missing)} of the {len(names)} images of {path.name} are missing, first of all '
                        f'{missing[0]}')


def _check_annotations(content: dict, path: pathlib.Path, tested: bool, masks: bool) -> None:
    """What mmdet, and pycocotools if it is ``tested`` on them, read of every annotation is there; else a KeyError."""
    if masks and content['annotations'] and not any(_is_mask(each.get('segmentation')) for each in content['annotations']):
        raise NoMasksError(f'{path}: its annotations hold no masks')
    categories = {category['id'] for category in content['categories']}
    identifiers = set()
    for annotation in content['annotations']:
        where = f"{path}: annotation {annotation['id']}"
        if annotation['id'] in identifiers:
            raise UserError(f'{where} is there twice; number the annotations anew')
        identifiers.add(annotation['id'])
        if annotation['category_id'] not in categories:
            raise UserError(f"{where} is of category {annotation['category_id']}, which the file does not list; mend its "
                            'categories')
        _, area, (_, _, width, height) = annotation['image_id'], annotation['area'], annotation['bbox']
        if tested and 'iscrowd' not in annotation:
            raise UserError(f'{where} has no iscrowd, which the test needs; give it 0, or 1 for a group of objects')
        skipped = not tested and (area <= 0 or width < 1 or height < 1)
        if masks and not skipped and not _is_mask(annotation.get('segmentation')):
            raise UserError(f'{where} has a box and no mask (its segmentation is missing, empty or no polygon), which Mask '
                            'R-CNN is trained and tested on; give it one, or take it out')


def _is_mask(segmentation: object) -> bool:
    """A run-length encoding, or polygons of three or more points; pycocotools tells them by the first."""
    if isinstance(segmentation, dict):
        return {'size', 'counts'} <= segmentation.keys()
    return isinstance(segmentation, list) and bool(segmentation) and len(segmentation[0]) >= 6


def _is_number(value: object) -> bool:
    return isinstance(value, int | float)


def _categories(content: dict) -> list[tuple[int, str]]:
    return [(category['id'], category['name']) for category in content['categories']]
