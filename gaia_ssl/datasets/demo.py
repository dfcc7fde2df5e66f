"""Synthetic scenes in COCO's layout, so that everything can be tried without a download.

Each image shows one to five shapes of random colour, texture, size and pose on a cluttered background; only the form
tells the class. Images serve as unlabelled data, annotations to score with.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from pathlib import Path

import cv2
import numpy as np

from gaia_ssl.datasets.demo_scene import SHAPES, render_scene
from gaia_ssl.errors import UserError
from gaia_ssl.progress import Progress

DEMO_CLASSES = tuple(SHAPES)
SETTINGS_FILE = 'demo_data.json'
VERSION = 1  # of the drawing: raise it when the same settings give other images
MIN_SIZE = 32


def generate_demo_data(out_dir: str | os.PathLike,
                       num_train: int = 1000,
                       num_val: int = 200,
                       size: int = 160,
                       seed: int = 0) -> Path:
    """Write ``train2017/``, ``val2017/`` and ``annotations/instances_{train,val}2017.json`` below ``out_dir``.

    The folder appears when it is complete, never half-written; one that is there with the same settings is kept.
    Image i of a split depends on (seed, size, i) alone, so a smaller data set is the start of a larger one.

    Args:
        out_dir: The folder to create.
        num_train: Number of training images.
        num_val: Number of validation images.
        size: Height and width in pixels, at least 32.
        seed: Non-negative.

    Returns:
        ``out_dir`` as a path.

    Raises:
        UserError: If a setting is out of range, or ``out_dir`` holds something else.
    """
    if size < MIN_SIZE or min(num_train, num_val) < 1 or seed < 0:
        raise UserError(f'generate_demo_data: num_train={num_train}, num_val={num_val}, size={size}, seed={seed}: '
                        f'give at least 1 image a split, a size of at least {MIN_SIZE} and a seed of at least 0')
    out = Path(out_dir)
    settings = dict(version=VERSION, num_train=num_train, num_val=num_val, size=size, seed=seed)
    if _is_complete(out, settings):
        return out
    out.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f'.{out.name}.', dir=out.parent))
    progress = Progress(num_train + num_val, 'images')
    try:
        for split_id, (split, count) in enumerate([('train2017', num_train), ('val2017', num_val)]):
            _write_split(temporary, split, count, size, (seed, split_id), progress)
        (temporary / SETTINGS_FILE).write_text(json.dumps(settings))
        temporary.chmod(0o755)  # mkdtemp's folder is private
        try:
            temporary.rename(out)
        except OSError:  # a concurrent call was first
            if not _is_complete(out, settings):
                raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return out


def _is_complete(out: Path, settings: dict) -> bool:
    """Whether ``out`` holds these demo data; False where there is nothing, UserError where there is something else."""
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return False
    try:
        found = json.loads((out / SETTINGS_FILE).read_text())
    except (OSError, ValueError):
        found = 'no demo data'
    if found != settings:
        raise UserError(f'generate_demo_data: {out} exists and holds {found}: choose another folder, or remove it')
    return True


def _write_split(root: Path, split: str, count: int, size: int, key: tuple[int, int], progress: Progress) -> None:
    """Render ``count`` images into ``root/split`` and write their annotation file."""
    (root / split).mkdir()
    (root / 'annotations').mkdir(exist_ok=True)
    images: list[dict] = []
    annotations: list[dict] = []
    for index in range(count):
        image, objects = render_scene(np.random.default_rng((*key, index)), size)
        name = f'{index + 1:012d}.jpg'
        if not cv2.imwrite(str(root / split / name), image, [cv2.IMWRITE_JPEG_QUALITY, 92]):
            raise OSError(f'cannot write {root / split / name}')
        images.append(dict(id=index + 1, file_name=name, height=size, width=size))
        for obj in objects:
            annotations.append(
                dict(
                    id=len(annotations) + 1,
                    image_id=index + 1,
                    category_id=DEMO_CLASSES.index(obj.shape) + 1,
                    bbox=obj.bbox,
                    area=obj.area,
                    segmentation=obj.polygons,
                    iscrowd=0))
        progress.advance()
    categories = [dict(id=i + 1, name=name, supercategory='shape') for i, name in enumerate(DEMO_CLASSES)]
    text = json.dumps(dict(images=images, annotations=annotations, categories=categories))
    (root / 'annotations' / f'instances_{split}.json').write_text(text)
