import numpy as np
import pytest

from gaia_ssl.errors import UserError
from gaia_ssl.evaluation import stratified_split, write_split

CLASSES = ['a', 'b', 'c']
LABELS = np.random.default_rng(0).permutation(np.repeat([0, 1, 2], [100, 50, 249])).tolist()


def test_each_class_gives_its_share():
    indices = stratified_split(LABELS, CLASSES, 0.1, seed=0)
    assert np.bincount(np.array(LABELS)[indices]).tolist() == [10, 5, 25]  # 24.9 is rounded
    assert indices == sorted(set(indices))


def test_a_smaller_share_is_part_of_a_larger_one_and_the_seed_counts():
    one, ten, other = (stratified_split(LABELS, CLASSES, share, seed) for share, seed in ((0.02, 3), (0.1, 3), (0.1, 4)))
    assert set(one) < set(ten) and ten != other
    assert stratified_split(LABELS, CLASSES, 0.1, 3) == ten
    assert stratified_split(LABELS, CLASSES, 1, 3) == list(range(len(LABELS)))


def test_every_image_can_be_drawn():
    drawn = np.zeros(10)
    for seed in range(200):
        drawn[stratified_split([0] * 10, ['a'], 0.3, seed)] += 1
    assert 30 < drawn.min() and drawn.max() < 90  # 60 expected, standard deviation 6.5


def test_a_class_without_an_image():
    with pytest.raises(UserError, match=r'1% of the images is none in 1 of 3 classes, e.g. b \(49\).* or 50 images of each'):
        stratified_split([0] * 100 + [1] * 49 + [2] * 50, CLASSES, 0.01, seed=0)
    with pytest.raises(UserError, match='share of labels is 1.5'):
        stratified_split(LABELS, CLASSES, 1.5, seed=0)


def test_the_list(tmp_path):
    write_split(tmp_path / 'lists' / 'split.txt', ['a/x y.png', 'a/z.png', 'b/0.png'], [0, 0, 1], [0, 2])
    assert (tmp_path / 'lists' / 'split.txt').read_text() == 'a/x y.png 0\nb/0.png 1\n'
