"""Images and their masks in folders of any names: found, checked and counted before anything is computed."""

from __future__ import annotations

import dataclasses
import os
import pathlib
from collections.abc import Sequence

import numpy as np
from mmengine.config import Config
from mmengine.fileio import list_dir_or_file
from PIL import Image

from gaia_ssl.config_file import check_text
from gaia_ssl.datasets.image_folder import EXTENSIONS
from gaia_ssl.datasets.read_pixels import read_size
from gaia_ssl.errors import UserError
from gaia_ssl.export.task_data import Report, TaskData
from gaia_ssl.files import reading_text
from gaia_ssl.progress import Progress
from gaia_ssl.terminal import say

CLASSES = 'classes.txt'
"""Beside the folders, names of the classes, one a line in the order of their labels."""
IGNORED = 255
"""The label of what belongs to no class."""
MOST = 64
"""Labels to take for classes if no list names them; smoothed edges in a mask make more."""
_MASK = '.png'
_ONE_NUMBER = ('1', 'L', 'P')
"""Pillow's modes of images that have one number of at most 8 bits a pixel."""


@dataclasses.dataclass(frozen=True)
class _Split:
    images: pathlib.Path
    masks: pathlib.Path
    img_suffix: str
    seg_map_suffix: str
    stems: list[str]

    @property
    def pairs(self) -> list[tuple[pathlib.Path, pathlib.Path]]:
        return [(self.images / f'{stem}{self.img_suffix}', self.masks / f'{stem}{self.seg_map_suffix}') for stem in self.stems]


def read_masks(config: Config, folder: str, report: Report = say) -> TaskData:
    """Images with a mask each, an index a pixel or 0 and 255, in either layout.

    - ``images/train``, ``images/val`` and ``masks/train``, ``masks/val``;
    - ``train`` and ``val``, the masks beside the images.

    A mask is called as its image is but for how the names end, e.g. ``a.jpg`` and ``a_mask.png``. Every mask is read: their
    values are the classes, up to the largest. 255 is ignored, or where there are only 0 and 255, the second class.

    Raises:
        UserError: If a mask is missing, of another size than its image or no mask, or a value has no name in ``classes.txt``.
    """
    root, splits = _find(folder)
    train, val = splits
    values = _values([*train.pairs, *val.pairs], report)
    binary = values.keys() == {0, IGNORED}
    labels = [0, 1] if binary else sorted(values.keys() - {IGNORED})
    classes = _classes(root / CLASSES, labels, binary, values)
    ignored = f'{IGNORED} is ignored' if IGNORED in values and not binary else 'no value is ignored'
    shown = ', '.join(classes[:8]) + (', …' if len(classes) > 8 else '')
    report(f'{root}: masks NAME{train.seg_map_suffix} of images NAME{train.img_suffix}; {len(classes)} classes '
           f'({shown}){", of the values 0 and 255" if binary else ""}; {ignored}')
    datasets = {
        loader: dict(img_suffix=split.img_suffix, seg_map_suffix=split.seg_map_suffix,
                     data_prefix=dict(img_path=str(split.images.relative_to(root)),
                                      seg_map_path=str(split.masks.relative_to(root))))
        for loader, split in (('train_dataloader', train), ('val_dataloader', val), ('test_dataloader', val))}
    names = frozenset(image.name for image, _ in train.pairs)
    settings = dict(datasets=datasets, binary=binary)
    return TaskData(str(root), classes, str(train.images), names, len(train.stems), settings)


def _find(folder: str) -> tuple[pathlib.Path, tuple[_Split, _Split]]:
    root = pathlib.Path(folder).expanduser().resolve()
    for places in (('images/{}', 'masks/{}'), ('{}', '{}')):
        train, val = ([root / place.format(split) for place in places] for split in ('train', 'val'))
        if train[0].is_dir():
            return root, (_split(*train), _split(*val))
    raise UserError(f'{folder}: no data of this task in it: neither images/train nor train is there; give images/train, '
                    'images/val, masks/train and masks/val, or train and val with each mask beside its image')


def _split(images: pathlib.Path, masks: pathlib.Path) -> _Split:
    """All images of a folder, each with its mask: how their names end is told by the first image that has one."""
    found = sorted(name for name in _files(images) if os.path.splitext(name)[1].lower() in EXTENSIONS)
    of_masks = sorted(name for name in _files(masks) if name.endswith(_MASK))
    if images == masks:
        found = [name for name in found if not name.endswith(_MASK)]
        if of_masks and not found:
            raise UserError(f'{images}: holds {_MASK} files only, of which mmseg cannot tell images from masks; give the masks '
                            'folders of their own: images/train, masks/train, …')
    if not found or not of_masks:
        raise UserError(f"{masks if found else images}: holds no {f'mask ({_MASK})' if found else 'image'}")
    rules = dict.fromkeys(rule for name in of_masks if (rule := _rule(found[0], name)))
    there = set(of_masks)
    img_suffix, seg_map_suffix = max(rules, default=(os.path.splitext(found[0])[1], _MASK), key=lambda rule: sum(
        name.endswith(rule[0]) and name.removesuffix(rule[0]) + rule[1] in there for name in found))
    for name in found:
        if not name.endswith(img_suffix):
            raise UserError(f'{images / name}: does not end in {img_suffix} as the other images do; mmseg reads one kind of '
                            'names')
        mask = name.removesuffix(img_suffix) + seg_map_suffix
        if mask not in there:
            raise UserError(f'{images / name}: has no mask {masks / mask}')
    return _Split(images, masks, img_suffix, seg_map_suffix, [name.removesuffix(img_suffix) for name in found])


def _rule(image: str, mask: str) -> tuple[str, str] | None:
    """How the names of an image and a mask end, behind what they have in common; None if that is nothing."""
    stem = os.path.splitext(image)[0]
    common = os.path.commonprefix([stem, mask]).rstrip('._-')
    return (image.removeprefix(common), mask.removeprefix(common)) if os.path.basename(common) else None


def _files(folder: pathlib.Path) -> list[str]:
    """Paths inside ``folder`` as mmseg lists them: links are followed, hidden files left out."""
    return list(list_dir_or_file(str(folder), list_dir=False, recursive=True)) if folder.is_dir() else []


def _values(pairs: Sequence[tuple[pathlib.Path, pathlib.Path]], report: Report) -> dict[int, pathlib.Path]:
    """The values of all masks, and a mask that has each."""
    values: dict[int, pathlib.Path] = {}
    progress = Progress(len(pairs), 'masks', report)
    for image, mask in pairs:
        try:
            size = read_size(str(image))
            with Image.open(mask) as picture:
                mode, numbers, own = picture.mode, np.unique(np.asarray(picture)), picture.size
        except (OSError, SyntaxError) as error:  # of a broken PNG, either
            raise UserError(f'{mask}: it or its image cannot be read ({error})') from error
        if mode not in _ONE_NUMBER:
            raise UserError(f"{mask}: is of Pillow's mode {mode}; give masks with one number of 8 bits a pixel, the class")
        if own != size:
            raise UserError(f'{mask}: is {own[0]} x {own[1]} px, and its image {image.name} {size[0]} x {size[1]} px; give '
                            "masks of their images' sizes")
        for number in numbers.tolist():
            values.setdefault(int(number), mask)
        progress.advance()
    return values


def _classes(listed: pathlib.Path, labels: list[int], binary: bool, values: dict[int, pathlib.Path]) -> tuple[str, ...]:
    """Names of the classes: those of the list, where there is one."""
    if listed.is_file():
        with reading_text(listed):
            names = tuple(line.strip() for line in listed.read_text(encoding='utf-8-sig').splitlines() if line.strip())
        for name in names:
            check_text(name, f'a class in {listed}')
        if labels and labels[-1] >= len(names):
            value = IGNORED if binary else labels[-1]
            raise UserError(f'{values[value]}: has the value {value}, which is none of the {len(names)} classes that {listed} '
                            'names')
    elif len(labels) > MOST:
        raise UserError(f'{values[labels[-1]]}: there are {len(labels)} values in the masks; if they are classes, name them in '
                        f'{listed}, one a line, and else give masks whose values are')
    else:
        numbers = range(max(labels, default=0) + 1)
        names = ('background', 'foreground') if binary else tuple(f'class {label}' for label in numbers)
    if len(names) < 2:
        raise UserError(f'{listed.parent}: the masks have one class, {", ".join(names)}; there is nothing to tell apart')
    return names
