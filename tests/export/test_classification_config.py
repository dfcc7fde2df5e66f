"""The downstream configs of classification, and what is filled in."""

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DATASETS, MODELS, DefaultScope
from PIL import Image

from gaia_ssl import Arch
from gaia_ssl.checkpoint import load_checkpoint
from gaia_ssl.errors import UserError
from gaia_ssl.export import downstream_config_path, export_subnet, fill_classifier
from tests import tiny

TASKS = ('imagenet-linear', 'imagenet-semi-1p', 'imagenet-semi-10p', 'classification')
ARCH = Arch.parse('4-8x1-8x1-16x2-13x1')
LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')


@pytest.fixture(autouse=True)
def scope():
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        yield


@pytest.fixture
def data(tmp_path):
    return tiny.labelled_photos(tmp_path / 'data')


@pytest.fixture
def exported(tmp_path, data):
    """An exported backbone and what it says of itself, mean and std of its own."""
    checkpoint = load_checkpoint(tiny.save_supernet(tmp_path / 'supernet.pth'))
    checkpoint['meta']['gaia_ssl'].update(mean=[1.0, 2.0, 3.0], std=[4.0, 5.0, 6.0], to_rgb=False)
    torch.save(checkpoint, tmp_path / 'supernet.pth')
    path = export_subnet(str(tmp_path / 'supernet.pth'), ARCH, str(data / 'train'), tmp_path / 'out', resolution=32,
                         report=lambda line: None)
    return path, load_checkpoint(path)['meta']['gaia_ssl']


def config(task: str, small: bool = False) -> Config:
    return Config.fromfile(downstream_config_path(task, small))


def test_the_papers_settings():
    linear = config('imagenet-linear')
    assert linear.optim_wrapper.optimizer == dict(type='SGD', lr=30.0, momentum=0.9, weight_decay=0.0)
    assert linear.train_cfg.max_epochs == 100
    assert linear.param_scheduler == [dict(type='MultiStepLR', by_epoch=True, milestones=[60, 80], gamma=0.1)]
    for task in ('imagenet-semi-1p', 'imagenet-semi-10p'):
        semi = config(task)
        assert semi.train_cfg.max_epochs == 20
        assert semi.param_scheduler == [dict(type='MultiStepLR', by_epoch=True, milestones=[12, 16], gamma=0.2)]
        assert semi.optim_wrapper.optimizer.weight_decay == 5e-4 and semi.model.backbone.norm_cfg.type == 'SyncBN'
        semi.merge_from_dict({'optim_wrapper.optimizer.lr': 0.1, 'optim_wrapper.paramwise_cfg.custom_keys.head.lr_mult': 100})
        assert semi.optim_wrapper.paramwise_cfg == dict(custom_keys=dict(head=dict(lr_mult=100)))
    assert all(config(task).auto_scale_lr.base_batch_size == 256 for task in TASKS)


@pytest.mark.parametrize('task', TASKS)
def test_the_small_variant_differs_in_data_and_schedule_only(task):
    full, small = config(task), config(task, small=True)
    for name in ('param_scheduler', 'train_cfg', 'auto_scale_lr', 'default_hooks', 'data_root', 'epochs', 'warm_up'):
        full.pop(name, None), small.pop(name, None)
    full.optim_wrapper.optimizer.pop('lr'), small.optim_wrapper.optimizer.pop('lr')
    for name in LOADERS:
        for either in (full, small):
            for key in ('batch_size', 'num_workers', 'pin_memory'):
                either[name].pop(key)
            either[name].dataset.pop('data_root')
    assert full.to_dict() == small.to_dict()


@pytest.mark.parametrize('task', TASKS)
def test_what_is_filled_in(task, exported, data, tmp_path):
    path, meta = exported
    empty = config(task)
    before = empty.pretty_text
    filled = fill_classifier(empty, path, meta, data)
    assert empty.pretty_text == before
    filled.dump(tmp_path / 'filled.py')
    filled = Config.fromfile(tmp_path / 'filled.py')
    assert '_base_' not in (tmp_path / 'filled.py').read_text()
    assert filled.model.backbone.get('frozen_stages') == (4 if task == 'imagenet-linear' else None)
    assert filled.model.backbone.norm_cfg.type == 'SyncBN'
    assert (filled.model.head.in_channels, filled.model.head.num_classes) == (4 * 13, 3)
    assert filled.val_evaluator.topk == (1, ) == filled.test_evaluator.topk
    for name in LOADERS:
        dataset = filled[name].dataset
        assert dataset.metainfo.classes == ('blue', 'green', 'red') and dataset.data_root == str(data)
    model = MODELS.build(filled.model)
    model.init_weights()
    assert tiny.equal(dict(model.backbone.state_dict()), load_checkpoint(path)['state_dict'])
    pixels = torch.arange(12.0).view(1, 3, 2, 2)
    expected = (pixels - torch.tensor([1.0, 2.0, 3.0]).view(3, 1, 1)) / torch.tensor([4.0, 5.0, 6.0]).view(3, 1, 1)
    assert torch.allclose(model.data_preprocessor(dict(inputs=pixels))['inputs'], expected)


def test_names_of_classes_without_data(exported):
    filled = fill_classifier(config('classification'), *exported, classes=[f'{n}' for n in range(7)])
    assert filled.model.head.num_classes == 7 and filled.test_evaluator.topk == (1, 5)
    assert filled.train_dataloader.dataset.data_root == 'data/classification'
    assert fill_classifier(config('imagenet-linear'), *exported).model.head.num_classes == 1000


def test_unknown_classes(exported, tmp_path):
    with pytest.raises(UserError, match='number of classes is unknown'):
        fill_classifier(config('classification'), *exported)
    with pytest.raises(UserError, match='no such folder'):
        fill_classifier(config('classification'), *exported, data_root=tmp_path / 'nowhere')


def test_the_resolution(exported, data):
    filled = fill_classifier(config('classification'), *exported, data, resolution=64)
    train, val = (DATASETS.build(filled[name].dataset) for name in LOADERS[:2])
    assert train[0]['inputs'].shape == val[0]['inputs'].shape == (3, 64, 64)
    assert filled.val_dataloader.dataset.pipeline[1].scale == 73
    as_exported = fill_classifier(config('classification'), *exported, data)
    assert DATASETS.build(as_exported.train_dataloader.dataset)[0]['inputs'].shape == (3, 32, 32)


@pytest.mark.parametrize('mode', ['L', 'LA', 'RGBA', 'P', '1', 'I;16'])
def test_images_of_other_modes_are_three_colours(mode, exported, data):
    """Grayscale becomes three equal channels; alpha is left out."""
    grey = np.arange(64, dtype=np.uint8).reshape(8, 8) * 4
    pictures = {
        'L': lambda: Image.fromarray(grey),
        'LA': lambda: Image.fromarray(np.stack([grey, grey // 2], -1), 'LA'),
        'RGBA': lambda: Image.fromarray(np.stack([grey, grey // 2, grey // 4, grey], -1), 'RGBA'),
        'P': lambda: Image.fromarray(grey).convert('P'),
        '1': lambda: Image.fromarray(grey > 128),
        'I;16': lambda: Image.fromarray(grey.astype(np.uint16) * 256),
    }
    for split in ('train', 'val'):
        for path in (data / split).glob('*/*.png'):
            pictures[mode]().save(path)
    filled = fill_classifier(config('classification'), *exported, data, resolution=8)
    filled.val_dataloader.dataset.pipeline = [filled.val_dataloader.dataset.pipeline[0], dict(type='PackInputs')]
    train, val = (DATASETS.build(filled[name].dataset) for name in LOADERS[:2])
    assert train[0]['inputs'].shape == (3, 8, 8)
    blue, green, red = val[0]['inputs'].numpy()
    if mode == 'RGBA':
        assert (red == grey).all() and (green == grey // 2).all() and (blue == grey // 4).all()
    else:
        expected = 255 * (grey > 128) if mode == '1' else grey
        assert all((channel == expected).all() for channel in (blue, green, red))
    assert not train[0]['data_samples'].unreadable and not val[0]['data_samples'].unreadable
