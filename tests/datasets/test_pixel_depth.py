"""Images whose depth or channels no usual pipeline is made for."""

import cv2
import numpy as np
import pytest
import tifffile

from gaia_ssl.datasets import ImageFolder
from gaia_ssl.datasets.pixel_depth import depth_warning

LOAD = [dict(type='LoadImageFromFile')]


@pytest.mark.parametrize('name, factor, kind, told', [
    ('a.png', 257, np.uint16, ''), ('a.tif', 16, np.uint16, 'go up to 4080 of 65535 are read as nearly black'),
    ('a.tif', 1, np.float32, 'as if 1 were white'), ('a.tif', 1 / 256, np.float32, ''), ('a.png', 1, np.uint8, ''),
])
def test_a_depth_that_loses_the_picture_is_said(tmp_path, name, factor, kind, told):
    ramp = np.tile(np.linspace(0, 255, 64, dtype=np.float32), (64, 1)) * factor
    cv2.imwrite(str(tmp_path / name), np.dstack([ramp.astype(kind)] * 3))
    message = depth_warning([str(tmp_path / name)])
    assert told in message and bool(told) == bool(message)
    assert (message in ImageFolder(str(tmp_path), pipeline=LOAD).described) == bool(told)


def test_channels_that_are_no_colours(tmp_path):
    tifffile.imwrite(tmp_path / 'a.tif', np.ones((8, 9, 13), dtype=np.uint16), planarconfig='contig', photometric='minisblack')
    assert 'has 13 channels, which are no three colours; gaia-ssl pixels' in depth_warning([str(tmp_path / 'a.tif')])
