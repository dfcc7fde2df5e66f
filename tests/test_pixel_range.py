import numpy as np
import pytest

from gaia_ssl.errors import UserError
from gaia_ssl.pixel_range import PixelRange


def test_each_channel_is_scaled_by_its_own():
    pixels = np.array([[[500, 0], [1500, 4095], [2500, 9000]]], dtype=np.uint16)
    scaled = PixelRange((500.0, 0.0), (2500.0, 4095.0)).scale(pixels)
    assert scaled.dtype == np.float32
    np.testing.assert_allclose(scaled, [[[0, 0], [127.5, 255], [255, 255]]], rtol=1e-6)


def test_eight_bits_stay_as_they_are():
    pixels = np.arange(256, dtype=np.uint8).reshape(16, 16, 1)
    np.testing.assert_array_equal(PixelRange((0.0, ), (255.0, )).scale(pixels), pixels)


def test_what_is_no_number_becomes_black():
    pixels = np.array([[[np.nan], [np.inf], [-np.inf], [0.5]]], dtype=np.float32)
    np.testing.assert_array_equal(PixelRange((0.0, ), (1.0, )).scale(pixels).ravel(), [0, 255, 0, 127.5])


def test_plain_values_there_and_back():
    given = PixelRange((0.0, -1.5), (1.0, 2.0))
    assert PixelRange.of(given.arguments()) == given and PixelRange.of(None) is None and given.channels == 2


@pytest.mark.parametrize('settings, told', [
    (dict(low=[0], high=[0]), 'goes from 0 to 0'), (dict(low=[0, 1], high=[1]), '2 low and 1 high'), ({}, 'low and high'),
    (dict(low=[], high=[]), '0 low'), (dict(low=['0'], high=[1]), 'finite numbers'), (dict(low=[0], high=[1e999]), 'finite'),
    ([1], 'low and high'), (dict(low=[True], high=[2]), 'finite'),
])
def test_anything_else_is_refused(settings, told):
    with pytest.raises(UserError, match=told):
        PixelRange.of(settings)
