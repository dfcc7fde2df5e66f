"""Reading the user's data: what every layout has in common."""

import os

import pytest

from tests.downstream_data import MAKERS, read, refused


@pytest.mark.skipif('GAIA_SSL_TEST_DATA' not in os.environ, reason='real data')
def test_real_data():
    folder = os.environ['GAIA_SSL_TEST_DATA']
    data = read('coco-mask-rcnn', folder)
    assert (len(data.classes), data.num_images) == (80, 63)  # one of 64 has no object
    data = read('voc-faster-rcnn-c4', folder, small=True)
    assert (data.classes, data.num_images, len(data.names)) == (('Platelets', 'RBC', 'WBC'), 292, 292)
    assert read('cityscapes-fcn', folder).num_images == 92


@pytest.mark.parametrize('task', [*MAKERS, 'classification'])
def test_a_folder_without_such_data(task, tmp_path):
    refused(task, tmp_path, 'no data of this task in it: neither .* is there')
    refused(task, tmp_path / 'nowhere', 'no data of this task')
