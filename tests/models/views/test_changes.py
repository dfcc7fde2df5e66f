"""Each change against the transform by Pillow that it stands for, on a real photo."""

import mmcv
import numpy as np
import pytest
import torch
from mmcv.transforms import RandomGrayscale
from mmpretrain.datasets.transforms import GaussianBlur, Solarize
from torchvision.transforms.v2 import functional as F

from gaia_ssl.models.views import changes
from tests import tiny


@pytest.fixture(scope='module')
def photos(tmp_path_factory) -> np.ndarray:
    """``(N, H, W, 3)``, BGR."""
    folder = tiny.photos(tmp_path_factory.mktemp('photos'), 4)
    return np.stack([mmcv.imresize(mmcv.imread(str(path)), (48, 40)) for path in sorted(folder.iterdir())])


def changed(change, photos, amounts) -> np.ndarray:
    out = change(torch.from_numpy(photos).movedim(3, 1).float(), torch.tensor(amounts, dtype=torch.float32))
    assert out.min() >= 0 and out.max() <= 255
    return out.movedim(1, 3).numpy()


def grayscaled(image, _amount):
    return RandomGrayscale(prob=1., keep_channels=True, channel_weights=(0.114, 0.587, 0.2989))(dict(img=image))['img']


@pytest.mark.parametrize('change, by_pillow, amounts, within', [
    (changes.brighten, lambda image, by: mmcv.adjust_brightness(image, by, backend='pillow'), [0.6, 0.9, 1.1, 1.4], 1),
    (changes.contrast, lambda image, by: mmcv.adjust_contrast(image, by, backend='pillow'), [0.6, 0.9, 1.1, 1.4], 1.5),
    (changes.saturate, lambda image, by: mmcv.adjust_color(image, alpha=by, backend='pillow'), [0.6, 0.9, 1.1, 1.4], 1.5),
    (changes.gray, grayscaled, [0, 0, 0, 0], 1.1),
    (changes.solarize, lambda image, by: Solarize(thr=by, prob=1.)(dict(img=image))['img'], [128, 64, 200, 255], 0),
    (changes.flip, lambda image, _: mmcv.imflip(image), [0, 0, 0, 0], 0)])
@pytest.mark.filterwarnings("ignore:Only use 'alpha'")
def test_is_pillows_but_for_its_rounding(photos, change, by_pillow, amounts, within):
    found = changed(change, photos, amounts)
    for one, photo, amount in zip(found, photos, amounts, strict=True):
        expected = by_pillow(photo, amount).astype(np.float32)
        assert np.abs(one - expected).max() <= within
        assert change is changes.flip or np.abs(expected - photo).max() > 5


@pytest.mark.parametrize('turns', [[-0.1, -0.03, 0.04, 0.1], [-0.5, 0.0, 0.25, 0.5]])
def test_hue(photos, turns):
    """torchvision's, in float; Pillow's keeps hue and saturation in a byte each, which moves few values far."""
    found = changed(changes.shift_hue, photos, turns)
    for one, photo, turn in zip(found, photos, turns, strict=True):
        turned = np.trunc(np.float32(turn) * 255) / 255
        image = torch.from_numpy(photo[..., ::-1].copy()).movedim(2, 0).float() / 255
        expected = F.adjust_hue(image, turned).movedim(0, 2).numpy()[..., ::-1] * 255
        np.testing.assert_allclose(one, expected, atol=0.02)
        assert np.abs(one - mmcv.adjust_hue(photo, turn, backend='pillow')).mean() < 2


def test_blur(photos):
    """torchvision's with a kernel as wide; Pillow's approximates it by box blurs."""
    sigmas = [0.3, 0.8, 1.4, 2.0]
    found = changed(changes.blur, photos, sigmas)
    for one, photo, sigma in zip(found, photos, sigmas, strict=True):
        image = torch.from_numpy(photo).movedim(2, 0).float()
        padded = torch.nn.functional.pad(image.unsqueeze(0), (6, 6, 6, 6), mode='replicate')[0]
        expected = F.gaussian_blur(padded, [13, 13], [sigma, sigma])[:, 6:-6, 6:-6].movedim(0, 2).numpy()
        np.testing.assert_allclose(one, expected, atol=0.01)
        by_pillow = GaussianBlur(radius=sigma, prob=1.)(dict(img=photo))['img'].astype(np.float32)
        assert np.abs(one - by_pillow).mean() < 1.5


def test_gray_images_have_no_hue():
    gray = torch.full((2, 3, 4, 4), 77.)
    assert torch.equal(changes.shift_hue(gray, torch.tensor([0.3, -0.2])), gray)
