"""Cityscapes' layout; each broken file ends in one line that names the place."""

import numpy as np
import pytest
from PIL import Image

from gaia_ssl.export.cityscapes_data import CITYSCAPES_CLASSES, cityscapes_image_suffix
from tests.downstream_data import cityscapes, read, refused

TASK = 'cityscapes-fcn'


@pytest.mark.parametrize('suffix', ['.png', '.jpg'])
def test_cityscapes(tmp_path, suffix):
    root = cityscapes(tmp_path / 'cityscapes', suffix)
    data = read(TASK, root)
    assert len(data.classes) == 19 and data.num_images == 4 and data.images == str(root / 'leftImg8bit' / 'train')
    assert read(TASK, tmp_path) == data
    assert cityscapes_image_suffix(data.images) == f'_leftImg8bit{suffix}'


def test_the_classes_of_cityscapes_are_mmsegs():
    mmseg = pytest.importorskip('mmseg.datasets')
    assert CITYSCAPES_CLASSES == mmseg.CityscapesDataset.METAINFO['classes']


def test_broken_cityscapes(tmp_path):
    root = cityscapes(tmp_path)
    label = root / 'gtFine' / 'val' / 'town' / '001_gtFine_labelTrainIds.png'
    whole = label.read_bytes()
    Image.fromarray(np.full((48, 64), 33, dtype=np.uint8)).save(label)  # ids, not train ids
    refused(TASK, root, 'has the label 33, which is no class; give train ids')
    label.write_bytes(whole[:40])
    refused(TASK, root, '001_gtFine_labelTrainIds.png: cannot be read')
    label.unlink()
    refused(TASK, root, '001_gtFine_labelTrainIds.png: no such file; cityscapesScripts')
    (root / 'leftImg8bit' / 'train' / 'town' / '009_leftImg8bit.jpg').touch()
    refused(TASK, root, 'holds images of several formats')
    for path in (root / 'leftImg8bit' / 'train').rglob('*.*'):
        path.unlink()
    refused(TASK, root, 'holds no image')


def test_files_as_mmseg_finds_them(tmp_path):
    """Behind links, and without the hidden ones that macOS leaves."""
    root, away = cityscapes(tmp_path / 'cityscapes'), tmp_path / 'away'
    for number, parent in enumerate(('leftImg8bit', 'gtFine')):
        town = root / parent / 'train' / 'town'
        (town / '._000_leftImg8bit.jpg').touch()
        town.rename(away.with_suffix(f'.{number}'))
        town.symlink_to(away.with_suffix(f'.{number}'))
    assert read(TASK, root).num_images == 4
