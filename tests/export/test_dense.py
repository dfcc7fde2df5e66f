"""Detectors and segmentors on images of 13 channels and 16 bits."""

import cv2
import numpy as np
import pytest
import tifffile
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from PIL import Image

from gaia_ssl.config_place import places
from gaia_ssl.export.tasks import prepare_task
from tests import downstream_data, tiny

CHANNELS, SIDE = 13, 64
META = dict(arch=str(tiny.SPACE.min), stem_kernel=7, resolution=SIDE, to_rgb=False,
            mean=[100.0 + channel for channel in range(CHANNELS)], std=[50.0 + channel for channel in range(CHANNELS)],
            pixel_range=dict(low=[500.0] * CHANNELS, high=[4000.0 + channel for channel in range(CHANNELS)]))
BOXES, MASKS = 'coco-faster-rcnn', 'segmentation'


def as_bands(folder) -> None:
    """Each picture below ``folder`` becomes a TIFF of 13 channels."""
    mixing = np.random.default_rng(0).uniform(0, 5, (3, CHANNELS))
    for path in folder.rglob('*.jpg'):
        image = (500 + np.asarray(Image.open(path)) @ mixing).astype(np.uint16)
        tifffile.imwrite(path.with_suffix('.tif'), image, planarconfig='contig', photometric='minisblack')
        path.unlink()


def filled(task: str, root, meta: dict = META) -> Config:
    data = downstream_data.MAKERS[task](root)
    as_bands(root)
    for path in root.glob('annotations/*.json'):
        downstream_data.edit(path, lambda content: [image.update(file_name=image['file_name'].replace('.jpg', '.tif'))
                                                    for image in content['images']])
    config = prepare_task(task, str(data), small=True, report=lambda line: None).fill('backbone.pth', meta)
    config.model.backbone.pop('init_cfg')
    return config


@pytest.mark.parametrize('task', [BOXES, MASKS])
def test_a_runner_trains_on_them(task, tmp_path):
    config = filled(task, tmp_path / 'data')
    steps = {each.type: each for each in config.train_dataloader.dataset.pipeline}
    for loader in ('train', 'val'):
        config[f'{loader}_dataloader'].update(num_workers=0, persistent_workers=False)
    if task == BOXES:
        steps['Resize'].scale = (96, 96)
    else:
        config.model.data_preprocessor.size = steps['RandomCrop'].crop_size = (SIDE, SIDE)
    config.merge_from_dict(dict(work_dir=str(tmp_path / 'run'), experiment_name=f'dense_{task}', log_level='ERROR',
                                train_cfg=dict(by_epoch=False, max_iters=1, _delete_=True), param_scheduler=[],
                                default_hooks=dict(checkpoint=None)))
    dataset = config.val_dataloader.dataset
    for name in ('val_dataloader', 'val_cfg', 'val_evaluator', 'test_dataloader', 'test_cfg', 'test_evaluator'):
        config.pop(name)
    DefaultScope._instance_dict.clear()
    runner = Runner.from_cfg(config)
    sample = runner.build_dataloader(dict(dataset=dataset, batch_size=1, sampler=dict(type='DefaultSampler'))).dataset[0]
    check_pixels(sample, runner)
    weight = runner.model.backbone.conv1.weight
    before = weight.detach().clone()
    runner.train()
    assert weight.size(1) == CHANNELS and ((weight != before).sum((0, 2, 3)) > 0).all()


def check_pixels(sample: dict, runner: Runner) -> None:
    """What the network is given of an image, by plain arithmetic."""
    image = tifffile.imread(sample['data_samples'].img_path).astype(np.float32)
    low, high = (np.array(META['pixel_range'][name], dtype=np.float32) for name in ('low', 'high'))
    scaled = ((image - low) / (high - low) * 255).clip(0, 255)
    height, width = sample['inputs'].shape[1:]
    resized = np.dstack([cv2.resize(scaled[..., channel], (width, height)) for channel in range(CHANNELS)])
    expected = torch.from_numpy((resized - META['mean']) / META['std']).permute(2, 0, 1).float()
    torch.testing.assert_close(sample['inputs'], expected, rtol=1e-4, atol=1e-4)
    batch = dict(inputs=[sample['inputs']], data_samples=[sample['data_samples']])
    given = runner.model.data_preprocessor(batch, training=False)['inputs'][0].cpu()
    torch.testing.assert_close(given[:, :height, :width], sample['inputs'])


def test_each_pipeline_normalises_once(tmp_path):
    """Those for testing are one, and that of --tta is deep."""
    config = filled(MASKS, tmp_path)
    loaders = [config[f'{name}_dataloader'].dataset.pipeline for name in ('train', 'val', 'test')]
    for pipeline in (*loaders, config.tta_pipeline):
        types = [each['type'] for _, each in places(pipeline) if isinstance(each, dict) and 'type' in each]
        assert types.count('gaia_ssl.NormaliseChannels') == types.count('gaia_ssl.LoadChannels') == 1
        assert types.index('gaia_ssl.NormaliseChannels') == types.index('PackSegInputs') - 1
        assert 'PhotoMetricDistortion' not in types
    assert config.model.data_preprocessor['mean'] is None


def test_masks_of_another_size_than_such_an_image(tmp_path):
    downstream_data.masks(tmp_path)
    as_bands(tmp_path)
    small = np.ones((20, 30, CHANNELS), dtype=np.uint16)
    tifffile.imwrite(tmp_path / 'images' / 'train' / '001.tif', small, planarconfig='contig', photometric='minisblack')
    downstream_data.refused(MASKS, tmp_path, r'001_mask\.png: is 64 x 48 px, and its image 001\.tif 30 x 20 px')
