"""Folders of classes, and lists of which images to train on."""

import pytest

from tests import tiny
from tests.downstream_data import read, refused

TASK = 'classification'
SEMI = 'imagenet-semi-10p'


@pytest.fixture
def root(tmp_path):
    return tiny.labelled_photos(tmp_path / 'imagenet')


@pytest.fixture
def listed(root):
    """Writes the list of the labelled images: pairs of an image, by its class and number, and a label."""
    def write(*pairs) -> None:
        (root / 'meta').mkdir(exist_ok=True)
        lines = [f'{sorted((root / "train" / name).iterdir())[number].relative_to(root / "train")} {label}'
                 for name, number, label in pairs]
        (root / 'meta' / 'train_labeled_10percent.txt').write_text('\n'.join(lines) + '\n')
    return write


def classes(root) -> list[str]:
    return sorted(path.name for path in (root / 'train').iterdir())


def test_folders(root, tmp_path):
    data = read(TASK, root)
    assert data.classes == tuple(classes(root)) and data.num_images == len([*(root / 'train').rglob('*.png')])
    assert (data.root, data.images, data.names) == (str(root), str(root / 'train'), None)
    assert read(TASK, tmp_path) == data


def test_a_list(root, listed):
    names, said = classes(root), []
    listed((names[0], 0, 0), (names[1], 0, 1))
    assert read(SEMI, root, report=said.append).num_images == 2
    assert said == [f"note: no training image of {len(names) - 2} of the {len(names)} classes, e.g. '{names[2]}'"]


def test_a_list_that_numbers_the_classes_in_another_way(root, listed):
    names = classes(root)
    listed((names[0], 0, 0), (names[1], 0, 2))
    refused(SEMI, root, f"gives .* the class 2, but its folder '{names[1]}' is number 1")
    listed((names[0], 0, -1))
    refused(SEMI, root, 'names class -1, but there are 3')


def test_a_list_of_missing_files(root, listed):
    names = classes(root)
    listed((names[0], 0, 0))
    sorted((root / 'train' / names[0]).iterdir())[0].unlink()
    refused(SEMI, root, 'no such file, which .*train_labeled_10percent.txt names')
    (root / 'meta' / 'train_labeled_10percent.txt').unlink()
    refused(SEMI, root, 'no such list of images')


def test_hidden_and_system_folders_are_no_classes(root):
    for split, name in (('train', '.ipynb_checkpoints'), ('val', '@eaDir')):
        (root / split / name).mkdir()
    assert read(TASK, root).classes == ('blue', 'green', 'red')
