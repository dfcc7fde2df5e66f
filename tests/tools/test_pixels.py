"""Images of 13 channels and 16 bits from the first tool to the last, and into mmpretrain's Runner."""

import json
import pathlib

import numpy as np
import pytest
import tifffile
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmengine.runner import Runner

from gaia_ssl.checkpoint import load_checkpoint
from gaia_ssl.datasets.center_crops import CenterCrops
from gaia_ssl.datasets.channel_transforms import resized
from gaia_ssl.export import backbone, read_subnet
from gaia_ssl.pixel_range import PixelRange
from tests import tiny

CHANNELS = 13
LOW, HIGH = 500.0, 8650.0


def bands(folder: pathlib.Path, count: int, seed: int, channels: int = CHANNELS) -> None:
    """Mixtures of the colours of smooth pictures, in part as TIFFs of one page, in part of a page a channel, and as arrays."""
    rng = np.random.default_rng(0)
    mixing = rng.uniform(0, 1, (3, channels))
    grids = np.random.default_rng(seed).uniform(0, 255, (count, 5, 5, 3)).astype(np.float32)
    folder.mkdir(parents=True, exist_ok=True)
    for index, grid in enumerate(grids):
        image = (LOW + 10 * resized(grid, 40, 44) @ mixing).astype(np.uint16)
        if index % 3 == 0:
            tifffile.imwrite(folder / f'{index:03d}.tif', image, planarconfig='contig', photometric='minisblack')
        elif index % 3 == 1:
            pages = image.transpose(2, 0, 1)
            tifffile.imwrite(folder / f'{index:03d}.tiff', pages, photometric='minisblack', compression='zlib')
        else:
            np.save(folder / f'{index:03d}.npy', image)


@pytest.fixture
def data(tmp_path):
    for seed, split in enumerate(('train', 'val')):
        for name in ('a', 'b'):
            bands(tmp_path / 'data' / split / name, 6 if split == 'train' else 3, 10 * seed + ord(name))
    return tmp_path / 'data'


def test_from_measuring_to_mmpretrain(tool, data, tmp_path, capfd):
    pixels, config = tmp_path / 'pixels.json', tiny.write_config(tmp_path / 'config.py', data / 'train', epochs=1, batch_size=4)
    assert tool('measure_pixels', pixels, '--data', data / 'train', '--range', LOW, HIGH) is None
    out = capfd.readouterr().out
    assert '12 images: 4 .tif, 4 .tiff, 4 .npy in' in out and '12 images of uint16' in out
    assert 'is there already' in tool('measure_pixels', pixels, '--data', data / 'train')
    measured = json.loads(pixels.read_text())
    assert measured['pixel_range'] == dict(low=[LOW] * CHANNELS, high=[HIGH] * CHANNELS)

    run, checkpoint = tmp_path / 'run', tmp_path / 'run' / 'epoch_1.pth'
    assert tool('train', config, '--pixels', pixels, '--work-dir', run) is None
    meta = load_checkpoint(checkpoint)['meta']['gaia_ssl']
    assert meta['pixel_range'] == measured['pixel_range'] and meta['to_rgb'] is False
    np.testing.assert_allclose(meta['mean'], measured['mean'], rtol=1e-6)

    search = tmp_path / 'search'
    assert tool('search', '--checkpoint', checkpoint, '--data', data / 'val', '--archs', 1, '--task', 'c2-c5',
                '--work-dir', search) is None
    found = json.loads((search / 'best.json').read_text())
    assert found['search']['pixel_range'] == measured['pixel_range']
    best = next(iter(found['best']['c2-c5'].values()))
    group = next(iter(found['best']['c2-c5']))
    assert 'trained with mean' in tool('search', config, checkpoint, '--work-dir', tmp_path / 'other')

    folder = tmp_path / 'out'
    assert tool('export', checkpoint, folder, '--from', search / 'best.json', '--group', group, '--features', 'c2-c5', '--for',
                'classification', '--small', '--data', data) is None
    net, exported = read_subnet(str(folder / 'backbone.pth'))
    assert exported['arch'] == best['arch'] and exported['params'] == sum(value.numel() for value in net.parameters())
    assert exported['pixel_range'] == measured['pixel_range'] and net.in_channels == CHANNELS
    assert f'{CHANNELS} channels, of which' in (folder / 'README.md').read_text()

    assert tool('evaluate', folder / 'backbone.pth', '--data', data, '-k', 3, '--workers', 0, '--work-dir',
                tmp_path / 'judged') is None

    images = CenterCrops(str(data / 'val'), exported['mean'], exported['std'], False, 32,
                         pixel_range=PixelRange.of(exported['pixel_range']), report=lambda line: None)
    [batch] = images
    check_module(folder, data, batch, net)
    check_runner(folder, tmp_path, batch, net)


@torch.no_grad()
def check_module(folder: pathlib.Path, data: pathlib.Path, batch: torch.Tensor, net: torch.nn.Module) -> None:
    """The module without OpenMMLab, on values that plain NumPy has scaled."""
    alone = backbone.load(folder / 'backbone.safetensors')
    low, high = (np.array(alone.pixel_range[name]) for name in ('low', 'high'))
    image = tifffile.imread(data / 'val' / 'a' / '000.tif')
    scaled = resized(((image - low) / (high - low)).clip(0, 1).astype(np.float32), 37, 40)[2:34, 4:36]
    given = alone.normalise(torch.from_numpy(scaled).permute(2, 0, 1)[None])
    torch.testing.assert_close(given, batch[:1], rtol=1e-3, atol=1e-3)
    for one, other in zip(alone.maps(batch), net(batch), strict=True):
        assert torch.equal(one, other)


def check_runner(folder: pathlib.Path, tmp_path: pathlib.Path, batch: torch.Tensor, net: torch.nn.Module) -> None:
    """mmpretrain's classifier gets the same images, and begins as the exported network."""
    config = Config.fromfile(folder / 'classification_small.py')
    config.merge_from_dict(dict(work_dir=str(tmp_path / 'classifier'), experiment_name='pixels', log_level='ERROR',
                                train_cfg=dict(max_epochs=1, val_interval=1)))
    for name in ('train', 'val', 'test'):
        config[f'{name}_dataloader'].update(num_workers=0, persistent_workers=False, batch_size=6)
    DefaultScope._instance_dict.clear()
    runner = Runner.from_cfg(config)
    runner.model.init_weights()
    [given] = runner.test_dataloader
    with torch.no_grad():
        inputs = runner.model.data_preprocessor(given)['inputs']
        torch.testing.assert_close(inputs, batch)
        assert torch.equal(runner.model.backbone.eval()(batch)[-1], net(batch)[-1])
    before = runner.model.backbone.conv1.weight.clone()
    runner.train()
    assert not torch.equal(runner.model.backbone.conv1.weight, before)
    assert 'accuracy/top1' in runner.test()


def test_what_does_not_go_is_one_line(tool, data, tmp_path):
    pixels, config = tmp_path / 'pixels.json', tiny.write_config(tmp_path / 'config.py', data / 'train', epochs=1, batch_size=4)
    bands(data / 'train' / 'b', 1, 0, channels=4)  # in place of one of 13
    line = tool('measure_pixels', pixels, '--data', data / 'train')
    assert 'channels' in line and 'sort such images into' in line
    bands(data / 'train' / 'b', 1, 0)
    assert tool('measure_pixels', pixels, '--data', data / 'train', '--percentiles', 1, 99) is None
    bands(data / 'train' / 'b', 1, 0, channels=4)
    line = tool('train', config, '--pixels', pixels, '--work-dir', tmp_path / 'run')
    assert '000.tif: has 4 channels, and the range of pixels is for 13' in line
    checkpoint = tmp_path / 'supernet.pth'
    content = torch.load(tiny.save_supernet(checkpoint, stem_kernel=7), weights_only=True)
    content['meta']['gaia_ssl']['pixel_range'] = dict(low=[0.0] * 3, high=[4095.0] * 3)
    torch.save(content, checkpoint)
    line = tool('export', checkpoint, '4-4x1-8x1-8x1-16x1', tmp_path / 'out', '--images', data / 'train', '--into',
                'mmpretrain::resnet/resnet18_8xb16_cifar10.py')
    assert 'takes images of 3 channels by a range of pixels' in line
