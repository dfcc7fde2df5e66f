"""Files that other programs wrote, against the numbers that went into them."""

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

from gaia_ssl.datasets.read_pixels import read_pixels

BANDS = np.random.default_rng(0).integers(0, 4096, (12, 10, 13)).astype(np.uint16)
COLOURS = np.random.default_rng(1).integers(0, 256, (12, 10, 3)).astype(np.uint8)


@pytest.mark.parametrize('settings, transposed', [
    (dict(planarconfig='contig'), False), (dict(planarconfig='separate'), True), (dict(), True),
    (dict(compression='zlib'), True),
], ids=str)
@pytest.mark.parametrize('kind', [np.uint8, np.uint16, np.float32])
def test_tiffs(tmp_path, settings, transposed, kind):
    bands = (BANDS % 256 if kind is np.uint8 else BANDS / 4 if kind is np.float32 else BANDS).astype(kind)
    path = tmp_path / 'a.TIF'
    tifffile.imwrite(path, bands.transpose(2, 0, 1) if transposed else bands, photometric='minisblack', **settings)
    read = read_pixels(str(path))
    assert read.dtype == kind
    np.testing.assert_array_equal(read, bands)


def test_a_tiff_that_opencv_has_to_decode(tmp_path):
    Image.fromarray(COLOURS).save(tmp_path / 'a.tif', compression='tiff_lzw')
    np.testing.assert_array_equal(read_pixels(str(tmp_path / 'a.tif')), COLOURS)
    pages = [Image.fromarray(BANDS[..., index]) for index in range(5)]
    pages[0].save(tmp_path / 'b.tif', save_all=True, append_images=pages[1:], compression='tiff_lzw')
    np.testing.assert_array_equal(read_pixels(str(tmp_path / 'b.tif')), BANDS[..., :5])


def test_arrays(tmp_path):
    for name, array, expected in (('last', BANDS, BANDS), ('first', BANDS.transpose(2, 0, 1), BANDS),
                                  ('grey', BANDS[..., 0], BANDS[..., :1])):
        np.save(tmp_path / f'{name}.npy', array)
        np.testing.assert_array_equal(read_pixels(str(tmp_path / f'{name}.npy'), expected.shape[2]), expected)


def test_the_expected_number_tells_the_axis(tmp_path):
    array = np.arange(8 * 9 * 16).reshape(8, 9, 16)
    np.save(tmp_path / 'a.npy', array)
    assert read_pixels(str(tmp_path / 'a.npy')).shape == (9, 16, 8), 'the shorter one'
    np.testing.assert_array_equal(read_pixels(str(tmp_path / 'a.npy'), 16), array)


@pytest.mark.parametrize('name', ['a.png', 'a.bmp', 'a.tga', 'a.tif'])
def test_colours_are_red_green_blue(tmp_path, name):
    Image.fromarray(COLOURS).save(tmp_path / name)
    np.testing.assert_array_equal(read_pixels(str(tmp_path / name)), COLOURS)


def test_grey_of_12_bits_in_16_and_alpha(tmp_path):
    cv2.imwrite(str(tmp_path / 'a.png'), BANDS[..., 0])
    read = read_pixels(str(tmp_path / 'a.png'))
    assert read.dtype == np.uint16
    np.testing.assert_array_equal(read, BANDS[..., :1])
    Image.fromarray(np.dstack([COLOURS, COLOURS[..., 0]])).save(tmp_path / 'b.png')
    np.testing.assert_array_equal(read_pixels(str(tmp_path / 'b.png')), COLOURS)


class Bomb:
    def __reduce__(self):
        return open, ('ran', 'w')


def test_what_cannot_be_read_is_one_kind_of_error(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tifffile.imwrite('whole.tif', BANDS)
    whole = (tmp_path / 'whole.tif').read_bytes()
    (tmp_path / 'short.tif').write_bytes(whole[:len(whole) // 2])
    for name in ('text.tif', 'text.png', 'text.npy', 'text.gif', 'empty.tif', 'empty.npy', 'empty.png'):
        (tmp_path / name).write_text('no image' * name.startswith('text'))
    np.save('bomb.npy', np.array([Bomb()]), allow_pickle=True)
    np.save('complex.npy', np.ones((4, 4), dtype=complex))
    np.save('one.npy', np.ones(4))
    np.save('four.npy', np.ones((2, 2, 2, 2)))
    np.save('long.npy', np.zeros((1, 1000, 3)))
    bad = [path.name for path in tmp_path.iterdir() if path.name != 'whole.tif']
    assert len(bad) == 13
    for name in (*bad, 'missing.tif'):
        with pytest.raises(OSError, match=name) as info:
            read_pixels(name)
        assert '\n' not in str(info.value)
    assert not (tmp_path / 'ran').exists()
