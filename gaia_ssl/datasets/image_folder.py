"""Images in any folder tree, mostly without labels."""

from __future__ import annotations

import copy
import os.path as osp
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import cv2
import numpy as np
import torch
from mmcv.transforms import LoadImageFromFile
from mmpretrain.datasets import CustomDataset
from PIL import Image

from gaia_ssl.datasets.classes import check_classes, class_folders
from gaia_ssl.datasets.image_files import describe_images, describe_masks, find_images
from gaia_ssl.datasets.image_limits import too_large
from gaia_ssl.datasets.load_channels import LoadChannels
from gaia_ssl.datasets.pixel_depth import depth_warning
from gaia_ssl.errors import UserError
from gaia_ssl.file_choice import FileChoice
from gaia_ssl.registry import DATASETS

EXTENSIONS = ('.bmp', '.gif', '.jfif', '.jp2', '.jpeg', '.jpg', '.pgm', '.png', '.ppm', '.tga', '.tif', '.tiff', '.webp')
PILLOW_ONLY = ('.gif', '.tga')
"""Of these, what OpenCV does not decode; of several frames the first is read."""

# What mmcv's LoadImageFromFile raises on a file that is no image. With cv2: AssertionError where the decoder gave None
# (truncated, not an image), cv2.error on a file of zero bytes. With pillow: OSError and SyntaxError (broken PNG).
DECODING_ERRORS: tuple[type[Exception], ...] = (
    AssertionError, OSError, SyntaxError, EOFError, cv2.error, Image.DecompressionBombError)
if not __debug__:  # python -O: mmcv goes on without its assertion
    DECODING_ERRORS += (AttributeError, )


@DATASETS.register_module()
class ImageFolder(CustomDataset):
    """All images under a folder, without labels (or with one folder a class).

    A file that cannot be decoded, or is larger than :mod:`~gaia_ssl.datasets.image_limits` allows, does not stop the run: the
    next readable image takes its place, and the sample names the bad files in ``data_samples.unreadable`` (a tuple of paths,
    mostly empty), from where the main process can collect them even if workers read the data.

    An index is an int, or a pair ``(seed, index)`` as :class:`gaia_ssl.datasets.SeededSampler` yields it. Of a pair,
    the transforms draw from generators seeded with ``seed``, and the global generators are left as they were: the
    sample depends on the pair alone, not on the worker, the batch, or whether the run was resumed.

    Attributes:
        described: Lines for the user: which images there are, what was not read and why, and what may be wrong with them.

    Args:
        data_root: The folder, searched recursively in sorted order. Hidden and system folders are passed over.
        data_prefix: A folder inside ``data_root``.
        with_label: Whether each folder directly below is a class (for judging networks).
        extensions: Accepted file name endings, in lower or upper case.
        include, exclude: Patterns of the files to read, and not to, see :class:`~gaia_ssl.file_choice.FileChoice`.
        **kwargs: Further arguments of :class:`mmpretrain.datasets.CustomDataset`: ``pipeline``, ``indices``, ``metainfo``,
            ``ann_file`` (UTF-8, lines of a path in the folder, and with labels the number of its class), ...

    Raises:
        UserError: If the folder is missing or holds no image, its classes are not those of ``metainfo``, the list is missing or
            broken, and on reading if no image can be decoded.

    Example::

        dataset = ImageFolder('photos/', pipeline=[dict(type='LoadImageFromFile'), dict(type='PackInputs')])
        dataset[0]['inputs'].shape  # torch.Size([3, 480, 640])
    """

    def __init__(self,
                 data_root: str = '',
                 data_prefix: str | dict = '',
                 with_label: bool = False,
                 extensions: Sequence[str] = EXTENSIONS,
                 include: str | Sequence[str] = (),
                 exclude: str | Sequence[str] = (),
                 **kwargs: Any) -> None:
        self.described: list[str] = []
        self.choice = FileChoice.of(dict(include=include, exclude=exclude, ann_file=kwargs.get('ann_file')))
        self._fitting = bytearray()
        self._too_large: dict[str, str] = {}
        if not (data_root or data_prefix):
            raise UserError('ImageFolder: no folder of images given: set data_root')
        super().__init__(
            data_root=osp.expanduser(data_root),
            data_prefix=data_prefix,
            with_label=with_label,
            extensions=extensions,
            **kwargs)

    def load_data_list(self) -> list[dict]:
        """Return paths, and labels if asked, of the list ``ann_file`` or of the folder."""
        samples = self._listed() if self.ann_file else self._found()
        if self.with_label and self.CLASSES is not None:
            labels = {label for _, label in samples}
            if unknown := labels - set(range(len(self.CLASSES))):
                raise UserError(f'ImageFolder: {self.ann_file} names class {max(unknown)}, but there are {len(self.CLASSES)}, '
                                'numbered from 0')
        paths = [path for path, _ in samples]
        full = [osp.join(self.img_prefix, path) for path in paths]
        self.described.insert(0, describe_images(paths, self.ann_file or osp.normpath(self.img_prefix)))
        loads_any = any(isinstance(each, LoadChannels) for each in self.pipeline.transforms)
        self.described += filter(None, (describe_masks(paths), '' if loads_any else depth_warning(full)))
        return [dict(img_path=path, gt_label=label) if self.with_label else dict(img_path=path)
                for path, (_, label) in zip(full, samples, strict=True)]

    def _listed(self) -> list[tuple[str, int]]:
        """Relative or absolute paths and classes (-1 without labels) in the list."""
        try:
            with open(self.ann_file, encoding='utf-8-sig', errors='surrogateescape') as file:
                lines = [line.strip() for line in file if line.strip()]
        except OSError as error:
            raise UserError(f'ImageFolder: no such list of images: {self.ann_file}: tools/draw_split.py draws one') from error
        try:
            pairs = [line.rsplit(' ', 1) if self.with_label else (line, -1) for line in lines]
            samples = [(path, int(label)) for path, label in pairs]
        except ValueError as error:
            raise UserError(f'ImageFolder: {self.ann_file}: each line must be a path and the number of its class') from error
        taken = [sample for sample in samples if self.choice.takes(sample[0])]
        if not taken:
            raise UserError(f'ImageFolder: {self.ann_file} lists no image' + (f' that {self.choice} takes' if samples else ''))
        return taken

    def _found(self) -> list[tuple[str, int]]:
        """Relative paths and classes (-1 without labels) in the folder; UserError where there are none."""
        accepted = ', '.join(sorted(self.extensions))
        if not osp.isdir(self.img_prefix):
            raise UserError(f'ImageFolder: no such folder: {self.img_prefix}: give a folder of images ({accepted})')
        found = find_images(self.img_prefix, self.extensions, self.choice)
        samples = [(path, -1) for path in found.paths]
        if self.with_label:
            classes = class_folders(self.img_prefix)
            check_classes(classes, self.CLASSES or classes, f'ImageFolder: {self.img_prefix} and the config')
            self._metainfo['classes'] = tuple(classes)
            labels = {name: number for number, name in enumerate(classes)}
            of_class = [(path, labels[path.partition('/')[0]]) for path in found.paths if '/' in path]
            samples = sorted(of_class, key=lambda sample: (sample[1], sample[0]))
            if empty := sorted(set(classes) - {classes[label] for _, label in samples}):
                self.described.append(f'no image of {len(empty)} of the {len(classes)} classes, first of all {empty[0]}')
        if not samples:
            place = 'in the class folders of' if self.with_label else 'in'
            chosen = f'; {found.left_out:,} are left out by {self.choice}' if found.left_out else ''
            raise UserError(f'ImageFolder: no image {place} {self.img_prefix}: accepted extensions are {accepted}, '
                            f'in lower or upper case{chosen}')
        if told := found.not_read():
            self.described.append(told)
        return samples

    def __getitem__(self, index: int | tuple[int, int]) -> dict:
        """Return the sample of ``index``, or of ``(seed, index)``."""
        if not isinstance(index, tuple):
            return super().__getitem__(index)
        seed, index = index
        with seeded_generators(seed):
            return super().__getitem__(index)

    def prepare_data(self, idx: int) -> dict:
        """Run the pipeline on image ``idx``, or on the first readable one after it."""
        total = len(self)
        if not -total <= idx < total:
            raise IndexError(f'image {idx} of {total}')
        unreadable: list[str] = []
        for step in range(total):
            index = (idx + step) % total
            info = self.get_data_info(index)
            path = info['img_path']
            size = self._size_if_too_large(index, path)
            sample = None if size else self._run_pipeline(info)
            if sample is not None:
                return _note_unreadable(sample, tuple(unreadable))
            unreadable.append(f'{path} ({size})' if size else path)
        raise UserError(f'ImageFolder: none of the {total} images in {self.img_prefix} can be decoded: '
                        f'check the files, first of all {unreadable[0]}')

    def _size_if_too_large(self, index: int, path: str) -> str:
        """:func:`too_large` of image ``index``, asked once a process; of those that are not, a byte each is remembered."""
        if len(self._fitting) != len(self):
            self._fitting = bytearray(len(self))
        if self._fitting[index]:
            return ''
        if path not in self._too_large:
            if not (size := too_large(path)):
                self._fitting[index] = True
                return ''
            self._too_large[path] = size
        return self._too_large[path]

    def _run_pipeline(self, sample: dict) -> dict | None:
        """Return the transformed sample, or None if its file cannot be decoded. Other errors pass through."""
        for transform in self.pipeline.transforms:
            if isinstance(transform, LoadImageFromFile):
                try:
                    sample = _suited(transform, sample['img_path'])(sample)
                except DECODING_ERRORS:
                    return None
                if sample is None:
                    return None
            else:
                path = sample.get('img_path')
                sample = transform(sample)
                if sample is None:
                    raise RuntimeError(f'{type(transform).__name__} returned no sample for {path}')
        return sample


def _suited(loader: LoadImageFromFile, path: str) -> LoadImageFromFile:
    """``loader``, or its like that decodes what OpenCV does not."""
    if not path.lower().endswith(PILLOW_ONLY):
        return loader
    loader = copy.copy(loader)
    loader.imdecode_backend = 'pillow'
    return loader


def _note_unreadable(sample: dict, paths: tuple[str, ...]) -> dict:
    """Write ``paths`` into the sample: in its ``data_samples``, or in the dict of a pipeline without PackInputs."""
    if 'data_samples' in sample:
        sample['data_samples'].set_field(paths, 'unreadable', field_type='metainfo')
    else:
        sample['unreadable'] = paths
    return sample


@contextmanager
def seeded_generators(seed: int) -> Iterator[None]:
    """Seed the CPU generators of Python, NumPy and torch inside the block, and put their states back after it.

    Args:
        seed: Non-negative, below 2 ** 63.
    """
    states = random.getstate(), np.random.get_state(), torch.default_generator.get_state()
    try:
        random.seed(seed)
        np.random.seed([seed & 0xFFFFFFFF, seed >> 32])
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would reseed the GPUs too
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.default_generator.set_state(states[2])
