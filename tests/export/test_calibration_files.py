"""Which files batch norm is calibrated on, where the search or the training had a choice of its own."""

import pytest
from mmengine.config import Config

from gaia_ssl.export.calibration_files import choose_files, set_patterns
from gaia_ssl.file_choice import FileChoice
from tests import tiny

NO_PNG, NO_JPG = FileChoice(exclude=('*.png', )), FileChoice(exclude=('*.jpg', ))


@pytest.fixture
def folder(tmp_path):
    for name in ('x.jpg', 'x.png'):
        (tmp_path / name).touch()
    return tmp_path


@pytest.mark.parametrize('given, recorded, chosen, told', [
    (FileChoice(), None, FileChoice(), None),
    (FileChoice(), NO_PNG, NO_PNG, "--exclude '*.png', as in the search; --include '*' takes all"),
    (NO_PNG, NO_PNG, NO_PNG, None),
    (NO_JPG, NO_PNG, NO_JPG, "note: the search took --exclude '*.png', and batch norm is calibrated on --exclude '*.jpg'"),
    (NO_JPG, None, NO_JPG, "note: the search took all images, and batch norm is calibrated on --exclude '*.jpg'"),
    (FileChoice(), FileChoice(include=('*.tif', )), FileChoice(), 'leaves no image in'),
    (FileChoice(), FileChoice(listed='a.txt'), FileChoice(), 'took only the images that a.txt lists; give --list'),
])
def test_what_was_recorded_is_taken_or_told(folder, given, recorded, chosen, told):
    lines = []
    found = choose_files(given, recorded and recorded.arguments(), 'the search', str(folder), lines.append)
    assert found == chosen and len(lines) == (told is not None)
    assert told is None or told in lines[0]


def test_the_configs_of_image_folders_pass_them(folder):
    """And no list: the one of a semi-supervised training is another."""
    for name, patterns in (('imagenet-semi-1p', ['*.png']), ('coco-mask-rcnn', None)):
        config = Config.fromfile(tiny.ROOT / 'configs' / 'downstream' / f'{name}.py')
        before = config.train_dataloader.dataset.ann_file
        set_patterns(config, FileChoice(exclude=('*.png', ), listed='other.txt'))
        for loader in (config.train_dataloader, config.val_dataloader, config.test_dataloader):
            assert loader.dataset.get('exclude') == patterns
        assert config.train_dataloader.dataset.ann_file == before
