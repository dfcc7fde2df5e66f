"""Images whose size no pipeline is made for."""

import pytest
from PIL import Image

from gaia_ssl.datasets import ImageFolder
from gaia_ssl.datasets.image_limits import too_large
from tests import tiny

LOAD = [dict(type='LoadImageFromFile')]


@pytest.mark.parametrize('width, height', [(30_000, 30_000), (60_000, 1), (1, 201)])
def test_gigantic_images_are_replaced_and_named(tmp_path, width, height):
    """Nothing of their size is built: 900 M pixels would take 2.7 GB."""
    tiny.photos(tmp_path, 2)
    Image.new('1', (width, height)).save(tmp_path / '000.png')
    images = ImageFolder(str(tmp_path), pipeline=LOAD)
    sample = images[0]
    assert sample['img'].shape == (40, 40, 3)
    [told] = sample['unreadable']
    assert told.startswith(f"{tmp_path / '000.png'} (") and 'more than 178,956,970' in told or f'{width} x {height}' in told


def test_headers_are_read_once_and_little_is_remembered(tmp_path, monkeypatch):
    tiny.photos(tmp_path, 3)
    Image.new('1', (60_000, 1)).save(tmp_path / '001.png')
    asked = []
    monkeypatch.setattr('gaia_ssl.datasets.image_folder.too_large', lambda path: asked.append(path) or too_large(path))
    images = ImageFolder(str(tmp_path), pipeline=LOAD)
    for index in (0, 1, 2, -1, -2, 1):
        assert len(images[index].get('unreadable', ())) == (index in (1, -2))
    assert asked == sorted(map(str, tmp_path.iterdir())) and images._fitting == bytearray([1, 0, 1])
    images.get_subset_(1)
    assert images[0]['img'].shape == (40, 40, 3) and len(images._fitting) == 1


def test_ordinary_images_are_not(tmp_path):
    tiny.photos(tmp_path, 1)
    Image.new('L', (200, 1)).save(tmp_path / 'long.png')
    (tmp_path / 'text.png').write_text('no image')
    assert [too_large(str(path)) for path in (*tmp_path.iterdir(), tmp_path / 'missing.png')] == [''] * 4
