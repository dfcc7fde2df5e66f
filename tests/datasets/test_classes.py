import pytest

from gaia_ssl.datasets import ImageFolder
from gaia_ssl.datasets.classes import class_folders, common_classes
from gaia_ssl.errors import UserError
from tests import tiny


@pytest.fixture
def data(tmp_path):
    return tiny.labelled_photos(tmp_path / 'data', train=2, val=1)


def test_classes_are_sorted_folders(data):
    assert common_classes(data / 'train', data / 'val') == ['blue', 'green', 'red']
    assert ImageFolder(str(data), data_prefix='train', with_label=True).CLASSES == ('blue', 'green', 'red')


def test_no_labels(tmp_path):
    tiny.photos(tmp_path / 'flat', 2)
    with pytest.raises(UserError, match='flat: no labels, because it has no folder a class'):
        class_folders(tmp_path / 'flat')
    with pytest.raises(UserError, match='no labels'):
        ImageFolder(str(tmp_path / 'flat'), with_label=True)
    with pytest.raises(UserError, match='nowhere: no such folder'):
        class_folders(tmp_path / 'nowhere')


def test_different_classes(data):
    (data / 'val' / 'red').rename(data / 'val' / 'pink')
    with pytest.raises(UserError, match='differ in their classes .only the former has pink; only the latter has red'):
        common_classes(data / 'train', data / 'val')
    with pytest.raises(UserError, match='only the former has pink'):
        ImageFolder(str(data), data_prefix='val', with_label=True, metainfo=dict(classes=('blue', 'green', 'red')))
    with pytest.raises(UserError, match='in another order'):
        ImageFolder(str(data), data_prefix='train', with_label=True, metainfo=dict(classes=('red', 'green', 'blue')))


@pytest.mark.parametrize('text, message', [
    ('red/000.png\n', 'each line must be a path and the number'), ('red/000.png red\n', 'each line must be'),
    ('', 'lists no image'), ('red/000.png 3\n', 'names class 3, but there are 3'), (None, 'no such list of images')])
def test_a_broken_list(data, text, message):
    if text is not None:
        (data / 'list.txt').write_text(text)
    with pytest.raises(UserError, match=message):
        ImageFolder(str(data), data_prefix='train', ann_file='list.txt', with_label=True,
                    metainfo=dict(classes=('blue', 'green', 'red')))


def test_a_list(data):
    (data / 'list.txt').write_text('red/001.png 2\nblue/000.png 0\n')
    images = ImageFolder(str(data), data_prefix='train', ann_file='list.txt', with_label=True)
    assert [(images.get_data_info(i)['img_path'], images.get_data_info(i)['gt_label']) for i in range(2)] == [
        (str(data / 'train/red/001.png'), 2), (str(data / 'train/blue/000.png'), 0)]
