"""Folders of images and masks; each broken one ends in one line that names the place."""

import numpy as np
import pytest
import torch
from mmengine.config import Config
from PIL import Image

from gaia_ssl.export import prepare_task
from tests import downstream_data
from tests.downstream_data import masks, read, refused

TASK = 'segmentation'
META = dict(arch=str(downstream_data.RESNET), stem_kernel=7, mean=[1.0, 2.0, 3.0], std=[4.0, 5.0, 6.0], to_rgb=True)


def write_mask(path, array) -> None:
    Image.fromarray(np.asarray(array, dtype=np.uint8)).save(path)


def dataset_of(config: Config, loader: str):
    pytest.importorskip('mmseg')
    from mmengine.registry import DefaultScope
    from mmseg.registry import DATASETS
    from mmseg.utils import register_all_modules
    register_all_modules(init_default_scope=False)
    with DefaultScope.overwrite_default_scope('mmseg'):
        return DATASETS.build(config[loader].dataset)


@pytest.mark.parametrize('beside', [False, True])
@pytest.mark.parametrize('labels, classes, found', [
    ((0, 1, 2, 255), ('class 0', 'class 1', 'class 2'), [0, 1, 2, 255]),
    ((0, 255), ('background', 'foreground'), [0, 1]),
    ((0, 3), ('class 0', 'class 1', 'class 2', 'class 3'), [0, 3]),
])
def test_what_is_read_is_what_mmseg_trains_on(tmp_path, beside, labels, classes, found):
    root, lines = masks(tmp_path / 'data', beside, labels), []
    task = prepare_task(TASK, str(root), small=True, report=lines.append)
    data = task.data
    assert (data.classes, data.num_images, data.root) == (classes, 4, str(root))
    assert data.names == {'000.jpg', '001.jpg', '002.jpg', '003.jpg'}
    assert f'{len(classes)} classes' in lines[0] and ('255 is ignored' in lines[0]) == (labels[-1] == 255 and len(labels) > 2)
    config = task.fill(tmp_path / 'backbone.pth', META)
    assert config.model.decode_head.num_classes == config.model.auxiliary_head.num_classes == len(classes)
    for loader, count in (('train_dataloader', 4), ('val_dataloader', 2), ('test_dataloader', 2)):
        config[loader].dataset.pipeline = [each for each in config[loader].dataset.pipeline if 'Random' not in each.type]
        dataset = dataset_of(config, loader)
        assert len(dataset) == count and dataset.metainfo['classes'] == classes
        assert torch.unique(dataset[0]['data_samples'].gt_sem_seg.data).tolist() == found


def test_names_of_the_classes(tmp_path):
    root = masks(tmp_path)
    (root / 'classes.txt').write_text('\ufeffsky\nroad\n\ncar\nbike\n', encoding='utf-8')
    assert read(TASK, root).classes == ('sky', 'road', 'car', 'bike')
    (root / 'classes.txt').write_text('sky\nroad\n')
    refused(TASK, root, '000_mask.png: has the value 2, which is none of the 2 classes that .*classes.txt names')
    (root / 'classes.txt').write_bytes(b'b\xfcck')
    refused(TASK, root, 'classes.txt: not a text in UTF-8 .byte 1 is 0xfc')
    (root / 'classes.txt').write_text('sky\n{{road}}\ncar')
    refused(TASK, root, 'a class in .* which OpenMMLab')


def test_names_are_told_by_what_they_have_in_common(tmp_path):
    root = downstream_data.cityscapes(tmp_path)
    for folder, new in (('leftImg8bit', 'images'), ('gtFine', 'masks')):
        (root / folder).rename(root / new)
    dataset = read(TASK, root).settings['datasets']['train_dataloader']
    assert (dataset['img_suffix'], dataset['seg_map_suffix']) == ('_leftImg8bit.png', '_gtFine_labelTrainIds.png')
    assert dataset['data_prefix'] == dict(img_path='images/train', seg_map_path='masks/train')


@pytest.mark.parametrize('change, message', [
    (lambda root: (root / 'masks/val/001_mask.png').unlink(), 'images/val/001.jpg: has no mask .*masks/val/001_mask.png'),
    (lambda root: write_mask(root / 'masks/train/002_mask.png', np.zeros((10, 20))),
     '002_mask.png: is 20 x 10 px, and its image 002.jpg 64 x 48 px'),
    (lambda root: write_mask(root / 'masks/train/002_mask.png', np.zeros((48, 64, 3))),
     "002_mask.png: is of Pillow's mode RGB"),
    (lambda root: write_mask(root / 'masks/val/000_mask.png', np.arange(48 * 64).reshape(48, 64) % 200),
     'there are 200 values in the masks; if they are classes, name them in .*classes.txt'),
    (lambda root: (root / 'masks/val/001_mask.png').write_bytes(b'none'), '001_mask.png: it or its image cannot be read'),
    (lambda root: (root / 'images/train/002.jpg').rename(root / 'images/train/002.png'),
     '002.png: does not end in .jpg as the other images do'),
    (lambda root: [path.unlink() for path in root.glob('images/val/*')], 'images/val: holds no image'),
    (lambda root: [path.unlink() for path in root.glob('masks/val/*')], 'masks/val: holds no mask'),
    (lambda root: [write_mask(path, np.zeros((48, 64))) for path in root.glob('masks/*/*')], 'the masks have one class'),
])
def test_broken_masks(tmp_path, change, message):
    root = masks(tmp_path)
    change(root)
    refused(TASK, root, message)


def test_images_that_cannot_be_told_from_masks(tmp_path):
    root = masks(tmp_path, beside=True)
    for path in root.glob('*/*.jpg'):
        path.rename(path.with_suffix('.png'))
    refused(TASK, root, 'train: holds .png files only, of which mmseg cannot tell images from masks')
