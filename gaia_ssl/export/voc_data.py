"""Data in VOC's layout: found, checked and counted before anything is computed."""

from __future__ import annotations

import pathlib
import xml.etree.ElementTree as ElementTree

from mmengine.config import Config
from mmengine.fileio import list_from_file

from gaia_ssl.errors import UserError
from gaia_ssl.export.backbone_config import datasets_of
from gaia_ssl.export.task_data import MIN_SIZE, Report, TaskData, check_file, check_not_empty, find_root
from gaia_ssl.files import reading_text
from gaia_ssl.progress import Progress
from gaia_ssl.terminal import say


def read_voc(config: Config, folder: str, report: Report = say) -> TaskData:
    """Data in VOC's layout, ``VOC2007/`` and for the full size ``VOC2012/``; the classes are those of the XML files.

    Raises:
        UserError: If a file is missing or broken, or the test images have a class that the training images have not.
    """
    root = find_root(folder, 'VOC2007', ('VOCdevkit', 'voc/VOCdevkit'))
    train, test = ([_voc_split(root, dataset) for dataset in datasets_of(config, loader)]
                   for loader in ('train_dataloader', 'test_dataloader'))
    progress = Progress(sum(len(xml_files) for _, xml_files in train + test), 'annotations', report)
    classes: set[str] = set()
    num_images = 0
    for list_file, xml_files in train:
        in_use = [found for path in xml_files if (found := _classes_of_xml(path, progress))]
        check_not_empty(len(in_use), list_file)
        num_images += len(in_use)
        classes.update(*in_use)
    for list_file, xml_files in test:
        new: set[str] = set().union(*(_classes_of_xml(path, progress) for path in xml_files)) - classes
        if new:
            raise UserError(f"{list_file}: its images have the class '{min(new)}', which no training image has; mend the "
                            'annotations or the lists')
    names = frozenset(path.stem for _, xml_files in train for path in xml_files)
    return TaskData(str(root), tuple(sorted(classes)), str(root / 'VOC2007' / 'JPEGImages'), names, num_images)


def _voc_split(root: pathlib.Path, dataset: dict) -> tuple[pathlib.Path, list[pathlib.Path]]:
    """The list of a split, and the XML files of its images; all images are there."""
    list_file, part = root / dataset['ann_file'], root / dataset['data_prefix']['sub_data_root']
    check_file(list_file, hint='; the small variant (--small) takes VOC2007 alone' if 'VOC2012' in str(list_file) else '')
    with reading_text(list_file):
        identifiers = list_from_file(list_file)
    for line, identifier in enumerate(identifiers, start=1):
        if not identifier or identifier != identifier.strip():
            raise UserError(f'{list_file}: line {line} is empty or has spaces around the name; give a name a line')
        check_file(part / 'Annotations' / f'{identifier}.xml', hint=f', which {list_file} names')
        check_file(part / 'JPEGImages' / f'{identifier}.jpg', hint=f', which {list_file} names')
    check_not_empty(len(identifiers), list_file)
    return list_file, [part / 'Annotations' / f'{identifier}.xml' for identifier in identifiers]


def _classes_of_xml(path: pathlib.Path, progress: Progress) -> set[str]:
    """Classes of an image's objects; none where the image is too small to be taken."""
    progress.advance()
    try:
        root = ElementTree.parse(path).getroot()
        if min(int(_text(root, f'size/{side}')) for side in ('width', 'height')) < MIN_SIZE:
            return set()
        return {_class_of(thing) for thing in root.findall('object')}
    except (ElementTree.ParseError, ValueError, LookupError, OverflowError) as error:
        raise UserError(f'{path}: not an annotation in VOC\'s format ({type(error).__name__}: {error})') from error


def _class_of(thing: ElementTree.Element) -> str:
    """Its name; raises one of several errors if what mmdet reads of it is not there."""
    for bound in ('xmin', 'ymin', 'xmax', 'ymax'):
        int(float(_text(thing, f'bndbox/{bound}')))
    int(thing.findtext('difficult', '0'))
    name = _text(thing, 'name')
    if not name:
        raise ValueError('an object has no name')
    return name


def _text(element: ElementTree.Element, path: str) -> str:
    text = element.findtext(path)
    if text is None:
        raise ValueError(f'no {path}')
    return text
