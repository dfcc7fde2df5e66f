import json

import cv2
import numpy as np
import pytest

from gaia_ssl.datasets.measure_pixels import Pixels, measure_pixels
from gaia_ssl.errors import UserError
from gaia_ssl.pixel_range import PixelRange
from tests import tiny


def quiet(line: str) -> None:
    pass


def write(folder, images: list[np.ndarray]) -> list[str]:
    paths = [str(folder / f'{index}.npy') for index in range(len(images))]
    for path, image in zip(paths, images, strict=True):
        np.save(path, image)
    return paths


@pytest.fixture
def images():
    rng = np.random.default_rng(0)
    return [rng.normal((1000, 5, -2), (100, 1, 0.5), (32, 40, 3)).astype(np.float32) for _ in range(6)]


def test_percentiles_mean_and_std(tmp_path, images):
    """Of so few pixels, all are looked at."""
    measured = measure_pixels(write(tmp_path, images), percentiles=(1, 99), report=quiet)
    values = np.concatenate([image.reshape(-1, 3) for image in images]).astype(np.float64)
    low, high = np.percentile(values, (1, 99), axis=0)
    np.testing.assert_allclose(measured.pixels.range.low, low, rtol=1e-6)
    np.testing.assert_allclose(measured.pixels.range.high, high, rtol=1e-6)
    scaled = 255 * np.clip((values - low) / (high - low), 0, 1)
    np.testing.assert_allclose(measured.pixels.mean, scaled.mean(0), rtol=1e-4)
    np.testing.assert_allclose(measured.pixels.std, scaled.std(0), rtol=1e-4)
    np.testing.assert_allclose(measured.smallest, values.min(0))
    assert (measured.dtypes, measured.images) == (('float32', ), 6)


def test_a_stated_range_and_a_sample(tmp_path, images):
    paths = write(tmp_path, images)
    measured = measure_pixels(paths, 2, bounds=(-500, 2000), report=quiet)
    assert measured.pixels.range == PixelRange((-500.0, ) * 3, (2000.0, ) * 3) and measured.images == 2
    values = np.concatenate([images[index].reshape(-1, 3) for index in (0, 3)])
    np.testing.assert_allclose(measured.pixels.mean, (values.mean(0) + 500) * 255 / 2500, rtol=1e-4)


def test_eight_bits_are_0_to_255(tmp_path):
    folder = tiny.photos(tmp_path / 'photos', 3, size=30)
    paths = sorted(map(str, folder.iterdir()))
    measured = measure_pixels(paths, report=quiet)
    assert measured.pixels.range == PixelRange((0.0, ) * 3, (255.0, ) * 3)
    pixels = np.concatenate([cv2.imread(path)[..., ::-1].reshape(-1, 3) for path in paths])
    np.testing.assert_allclose(measured.pixels.mean, pixels.mean(0), rtol=1e-6)
    np.testing.assert_allclose(measured.pixels.std, pixels.std(0), rtol=1e-6)


def test_pixels_that_are_no_numbers_do_not_count(tmp_path, images):
    images[0][:8] = np.nan
    measured = measure_pixels(write(tmp_path, images), report=quiet)
    assert np.isfinite([*measured.pixels.range.low, *measured.pixels.mean, *measured.largest]).all()
    with pytest.raises(UserError, match='no pixel of it'):
        measure_pixels(write(tmp_path, [np.full((4, 4), np.nan)]), report=quiet)


def test_what_is_wrong_is_one_line(tmp_path, images):
    paths = write(tmp_path, images)
    lines = []
    for name, change, told in (
            ('channels', lambda: np.save(paths[2], images[2][..., :2]), r'2\.npy: has 2 channels, .*0\.npy 3'),
            ('flat', lambda: write(tmp_path, [image * [1, 0, 1] for image in images]), 'channel 1 of 3 does not vary'),
            ('bad', lambda: open(paths[1], 'w').close(), r'1 of 6 images .* cannot be read')):
        write(tmp_path, images)
        change()
        with pytest.raises(UserError, match=told) as info:
            measure_pixels(paths, report=lines.append)
        assert '\n' not in str(info.value), name
    assert any(f'unreadable image, skipped: {paths[1]}: ' in line for line in lines)
    for settings, told in ((dict(percentiles=(9, 1)), 'smaller one first'), (dict(bounds=(5, 5)), 'does not vary'),
                           (dict(bounds=(0, 1), percentiles=(1, 99)), 'give one of them')):
        with pytest.raises(UserError, match=told):
            measure_pixels(paths[:1], report=quiet, **settings)


def test_the_file_there_and_back(tmp_path):
    pixels = Pixels(PixelRange((0.0, 1.0), (10.0, 2.0)), (100.0, 120.5), (30.0, 40.25))
    pixels.write(tmp_path / 'a.json')
    assert Pixels.read(tmp_path / 'a.json') == pixels
    content = json.loads((tmp_path / 'a.json').read_text())
    for change, told in ((dict(mean=[1]), 'mean has to have 2'), (dict(std=[0, 1]), 'standard deviation 0'),
                         (dict(pixel_range=None), 'has to hold pixel_range'), (dict(std='ab'), 'has to hold'),
                         (dict(mean=['a', 'b']), 'mean has to have 2 numbers')):
        (tmp_path / 'b.json').write_text(json.dumps(content | change))
        with pytest.raises(UserError, match=rf'b\.json: .*{told}'):
            Pixels.read(tmp_path / 'b.json')
    for text in ('[]', 'no JSON'):
        (tmp_path / 'c.json').write_text(text)
        with pytest.raises(UserError, match='c.json'):
            Pixels.read(tmp_path / 'c.json')
    with pytest.raises(UserError, match='cannot be read'):
        Pixels.read(tmp_path / 'none.json')
