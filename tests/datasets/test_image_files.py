"""Which files below a folder are images, and what is said of the others."""

import os

import pytest

from gaia_ssl.datasets.image_files import describe_images, describe_masks, find_images
from gaia_ssl.errors import UserError
from gaia_ssl.file_choice import FileChoice

SUFFIXES = ('.jpg', '.png')


@pytest.fixture
def root(tmp_path):
    """Empty files: nothing is decoded here."""
    for path in ('b.JPG', 'a/x.jpg', 'a/x.png', 'a/.hidden.jpg', '.Trash-0/t.jpg', 'a/.ipynb_checkpoints/x.jpg',
                 '.thumbs/t.jpg', 'a/@eaDir/x.jpg', 'Lost+Found/y.jpg', 'raw/r.heic', 'raw/s.HEIC', 'notes', 'a/deep/er/z.png'):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    return tmp_path


def test_hidden_and_system_folders_are_passed_over(root):
    found = find_images(str(root), SUFFIXES, FileChoice())
    assert found.paths == ['a/deep/er/z.png', 'a/x.jpg', 'a/x.png', 'b.JPG']
    assert sorted(found.skipped) == ['.Trash-0', '.thumbs', 'Lost+Found', 'a/.ipynb_checkpoints', 'a/@eaDir']
    assert found.others == {'.heic': 2, 'without suffix': 1}
    assert found.not_read() == (
        'not read: 2 .heic, 1 without suffix (of no suffix that is read); .Trash-0, .thumbs, Lost+Found, '
        'a/.ipynb_checkpoints, a/@eaDir (hidden, or of the system)')


def test_patterns_are_counted(root):
    found = find_images(str(root / 'a' / 'deep'), SUFFIXES, FileChoice(exclude=('*.png', )))
    assert found.paths == [] and found.not_read() == 'not read: 1 image (by --include and --exclude)'


def test_links(root, tmp_path_factory):
    """Those to other folders are followed; one to a folder above is not, nor are two that name each other, or nothing."""
    other = tmp_path_factory.mktemp('other')
    (other / 'o.jpg').touch()
    (other / 'back').symlink_to(root)
    for name, target in (('linked', other), ('again', other), ('here', root / 'a'), ('nothing.jpg', 'nowhere')):
        (root / 'a' / name).symlink_to(target)
    (root / 'one').symlink_to(root / 'two')
    (root / 'two').symlink_to(root / 'one')
    found = find_images(str(root), SUFFIXES, FileChoice())
    assert [path for path in found.paths if 'o.jpg' in path] == ['a/again/o.jpg', 'a/linked/o.jpg']
    assert sorted(found.looped) == ['a/again/back', 'a/here', 'a/linked/back']
    assert 'a/again/back, a/here, a/linked/back (links to a folder that holds them)' in found.not_read()


def test_folders_that_may_not_be_opened(root, monkeypatch):
    """In the place of the system, which lets a test that runs as root open all."""
    scandir = os.scandir

    def refuse(path):
        if os.path.basename(path) == closed:
            raise PermissionError(13, 'Permission denied')
        return scandir(path)

    monkeypatch.setattr(os, 'scandir', refuse)
    closed = 'deep'
    found = find_images(str(root), SUFFIXES, FileChoice())
    assert found.paths == ['a/x.jpg', 'a/x.png', 'b.JPG'] and 'a/deep (may not be opened)' in found.not_read()
    closed = root.name
    with pytest.raises(UserError, match=r'may not be opened \(Permission denied\)'):
        find_images(str(root), SUFFIXES, FileChoice())


def test_what_there_is():
    paths = [f'{index}.jpg' for index in range(1344)] + [f'{index}.PNG' for index in range(1344)]
    assert describe_images(paths, 'photos') == '2,688 images: 1,344 .jpg, 1,344 .png in photos'
    assert describe_images(['x.png'], 'photos') == '1 image: 1 .png in photos'


@pytest.mark.parametrize('paths, told', [
    (['a/x.jpg', 'a/x.png', 'b/x.jpg', 'c/y.jpg', 'c/y.png'],
     "2 of the images lie beside another of the same name, as masks do (first of all a/x.jpg and a/x.png); if they are masks, "
     "leave them out with --exclude '*.png'"),
    (['x.tif', 'x.jpeg'], "--exclude '*.tif'"),
    (['a/x.jpg', 'b/x.png', 'y.jpg'], None),
])
def test_masks_beside_images(paths, told):
    message = describe_masks(paths)
    assert message.endswith(told) if told else message == ''
