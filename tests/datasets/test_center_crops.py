import pytest
import torch

from gaia_ssl.datasets.center_crops import CenterCrops
from tests import tiny


@pytest.fixture
def folder(tmp_path):
    for seed, name in enumerate(('ant', 'bee')):
        tiny.photos(tmp_path / name, 5, seed=seed)
    return tmp_path


def crops(folder, **kwargs) -> CenterCrops:
    return CenterCrops(str(folder), [100., 110., 120.], [50., 60., 70.], True, 32, 4, report=lambda line: None, **kwargs)


def test_kept_images_are_the_same_and_not_read_again(folder):
    first, kept = list(crops(folder)), crops(folder, keep=True)
    next(iter(kept))  # which stops early: what it read is not all
    for attempt in range(3):
        batches = list(kept)
        assert [len(batch) for batch in batches] == [4, 4, 2]
        assert all(map(torch.equal, batches, first))
        if attempt == 0:
            for path in folder.rglob('*.png'):
                path.unlink()


def test_classes_are_named(folder):
    images = crops(folder, with_label=True, max_images=4)
    assert images.classes == ['ant', 'ant', 'bee', 'bee'] and images.labels == [0, 0, 1, 1]


def test_files_are_asked_for_by_name_with_or_without_suffix(folder):
    tiny.photos(folder / 'cat', 1)
    (folder / 'cat' / '000.png').rename(folder / 'cat' / '003.jpg')  # another file of that stem
    found = crops(folder, names=frozenset({'003.png', '004'})).paths
    assert [path.rpartition('/')[2] for path in found] == ['003.png', '004.png', '003.png', '004.png']
