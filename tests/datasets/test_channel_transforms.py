"""The transforms for any number of channels, against Pillow's, torchvision's and plain arithmetic."""

import numpy as np
import pytest
import torch
import torchvision.transforms.v2.functional as F
from mmengine.registry import DefaultScope
from PIL import Image

from gaia_ssl.config_place import places
from gaia_ssl.datasets import ImageFolder, channel_transforms
from gaia_ssl.datasets.channel_pipeline import pixel_range_of, set_pixel_range
from gaia_ssl.datasets.channel_transforms import resized
from gaia_ssl.datasets.image_folder import seeded_generators
from gaia_ssl.errors import UserError
from gaia_ssl.pixel_range import PixelRange
from gaia_ssl.registry import TRANSFORMS

CHANNELS = (1, 3, 13)


def picture(channels: int, height: int = 40, width: int = 30) -> np.ndarray:
    return np.random.default_rng(channels).uniform(0, 255, (height, width, channels)).astype(np.float32)


@pytest.mark.parametrize('channels', CHANNELS)
def test_resizing_is_pillows(channels):
    image = picture(channels)
    small = resized(image, 11, 9)
    for channel in range(channels):
        expected = np.asarray(Image.fromarray(image[..., channel]).resize((9, 11), Image.BILINEAR))
        np.testing.assert_allclose(small[..., channel], expected, atol=0.01)


@pytest.mark.parametrize('channels', CHANNELS)
def test_crops(channels):
    image = picture(channels)
    crop = channel_transforms.RandomResizedCrop(scale=16)
    with seeded_generators(3):
        top, left, height, width = crop.rand_crop_params(image)
    with seeded_generators(3):
        result = crop.transform(dict(img=image))
    np.testing.assert_array_equal(result['img'], resized(image[top:top + height, left:left + width], 16, 16))
    result = channel_transforms.ResizeEdge(scale=15, edge='short').transform(dict(img=image))
    assert result['img'].shape == (20, 15, channels) and result['scale_factor'] == (0.5, 0.5)


@pytest.mark.parametrize('channels', CHANNELS)
def test_brightness_contrast_and_saturation(channels):
    image = picture(channels)

    def jitter(**settings) -> np.ndarray:
        transform = channel_transforms.ColorJitter(**{name: (value, value) for name, value in settings.items()})
        return transform.transform(dict(img=image))['img']

    np.testing.assert_allclose(jitter(brightness=0.5), image / 2, rtol=1e-5)
    np.testing.assert_allclose(jitter(brightness=3.0), np.minimum(3 * image, 255), rtol=1e-5)
    np.testing.assert_allclose(jitter(contrast=0.25), 0.25 * image + 0.75 * image.mean(), rtol=1e-4)
    np.testing.assert_allclose(jitter(saturation=0.0), np.broadcast_to(image.mean(2, keepdims=True), image.shape), rtol=1e-4)
    np.testing.assert_allclose(jitter(saturation=1.0), image, rtol=1e-4)


@pytest.mark.parametrize('channels', CHANNELS)
def test_grey_and_blur(channels):
    image = picture(channels)
    grey = channel_transforms.RandomGrayscale(prob=1.0, keep_channels=True).transform(dict(img=image))['img']
    assert grey.shape == image.shape
    np.testing.assert_allclose(grey, np.broadcast_to(image.mean(2, keepdims=True), image.shape), rtol=1e-5)
    assert channel_transforms.RandomGrayscale(prob=0.0).transform(dict(img=image))['img'] is image
    blurred = channel_transforms.GaussianBlur(radius=1.2, prob=1.0).transform(dict(img=image))['img']
    expected = F.gaussian_blur(torch.from_numpy(image).permute(2, 0, 1), 9, 1.2).permute(1, 2, 0)
    assert blurred.shape == image.shape
    np.testing.assert_allclose(blurred, expected, atol=0.6)  # kernels of other lengths


def pipeline() -> list[dict]:
    view = [
        dict(type='RandomResizedCrop', scale=16, backend='pillow'),
        dict(type='RandomApply', prob=1.0, transforms=[dict(type='ColorJitter', brightness=0.4, hue=0.1)]),
        dict(type='mmpretrain.RandomGrayscale', prob=0.5, keep_channels=True, channel_weights=(0.114, 0.587, 0.2989)),
        dict(type='GaussianBlur', magnitude_range=(0.1, 2.0), magnitude_std='inf', prob=1.0),
        dict(type='Solarize', thr=128, prob=1.0),
        dict(type='RandomFlip', prob=1.0),
    ]
    return [dict(type='LoadImageFromFile'), dict(type='MultiView', num_views=2, transforms=[view]), dict(type='PackInputs')]


@pytest.mark.parametrize('channels', CHANNELS)
def test_a_whole_pipeline(channels, tmp_path):
    np.save(tmp_path / 'a.npy', picture(channels) * 100)
    pixel_range = PixelRange((0.0, ) * channels, (25500.0, ) * channels)
    dataset = dict(data_root=str(tmp_path), pipeline=pipeline())
    set_pixel_range(dataset, None)
    assert pixel_range_of(dataset['pipeline']) is None and 'extensions' not in dataset
    set_pixel_range(dataset, pixel_range)
    assert pixel_range_of(dataset['pipeline']) == pixel_range
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        images = ImageFolder(**dataset)
    one, two = (images[7, 0]['inputs'] for _ in range(2))
    assert [view.shape for view in one] == [(channels, 16, 16)] * 2 and one[0].dtype == torch.float32
    assert torch.equal(one[0], two[0]) and not torch.equal(one[0], one[1])
    assert 0 <= one[0].min() and 10 < one[0].max() <= 255
    set_pixel_range(dataset, PixelRange((1.0, ) * channels, (2.0, ) * channels))
    assert pixel_range_of(dataset['pipeline']).low[0] == 1.0, 'set again'
    types = [each['type'] for _, each in places(dataset['pipeline']) if isinstance(each, dict)]
    assert 'gaia_ssl.RandomGrayscale' in types and 'RandomFlip' in types


def test_other_transforms_are_refused():
    with pytest.raises(UserError, match='RandomErasing is not known to take images of 2 channels'):
        set_pixel_range(dict(pipeline=[*pipeline(), dict(type='RandomErasing')]), PixelRange((0.0, ) * 2, (1.0, ) * 2))


def test_another_number_of_channels_is_one_line(tmp_path):
    np.save(tmp_path / 'a.npy', picture(13))
    load = TRANSFORMS.build(dict(type='gaia_ssl.LoadChannels', low=[0.0] * 4, high=[1.0] * 4))
    with pytest.raises(UserError, match=r'a\.npy: has 13 channels, and the range of pixels is for 4') as info:
        load(dict(img_path=str(tmp_path / 'a.npy')))
    assert '\n' not in str(info.value)


def test_unreadable_files_are_replaced(tmp_path):
    np.save(tmp_path / 'b.npy', picture(2))
    (tmp_path / 'a.npy').write_text('no image')
    dataset = dict(data_root=str(tmp_path), pipeline=[dict(type='LoadImageFromFile')])
    set_pixel_range(dataset, PixelRange((0.0, ) * 2, (255.0, ) * 2))
    sample = ImageFolder(**dataset)[0]
    assert sample['img'].shape == (40, 30, 2) and sample['unreadable'] == (str(tmp_path / 'a.npy'), )
