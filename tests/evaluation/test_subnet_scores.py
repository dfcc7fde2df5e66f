"""The judge on tiny labelled photos whose classes differ in brightness."""

import numpy as np
import pytest
import torch

from gaia_ssl.datasets.center_crops import CenterCrops
from gaia_ssl.errors import UserError
from gaia_ssl.evaluation import calibrate_bn, knn_accuracy
from gaia_ssl.evaluation.subnet_scores import SubnetJudge
from gaia_ssl.models import extract_subnet
from tests import tiny

ARCHS = [tiny.SPACE[index] for index in (0, 9, 31)]


@pytest.fixture
def data(tmp_path):
    return tiny.overlapping_photos(tmp_path / 'data')


def crops(data, split: str, **kwargs) -> CenterCrops:
    settings = dict(mean=tiny.PREPROCESSOR['mean'], std=tiny.PREPROCESSOR['std'], to_rgb=True, resolution=32, batch_size=8)
    return CenterCrops(str(data / split), **settings, with_label=True, **kwargs)


def judge(data, scores=('knn', 'linear'), **kwargs) -> SubnetJudge:
    return SubnetJudge(crops(data, 'train', keep=True), crops(data, 'val', keep=True), scores, **{'k': 5, **kwargs})


def subnet_of(arch):
    return extract_subnet(tiny.supernet().backbone, arch)


def test_kept_crops_are_the_decoded_ones(data):
    kept = crops(data, 'train', keep=True)
    next(iter(kept))  # an iteration that is left keeps nothing
    first, again, decoded = list(kept), list(kept), list(crops(data, 'train'))
    for path in (data / 'train').rglob('*.png'):
        path.unlink()
    assert all(map(torch.equal, first, decoded)) and all(map(torch.equal, again, decoded)) and len(again) == len(decoded) == 3
    assert all(map(torch.equal, kept, decoded))


def test_scores_are_those_of_the_calibrated_subnet(data, tmp_path):
    """The score in the file against torch, sliced and calibrated here."""
    table = judge(data, k=5).judge_all(ARCHS, subnet_of, tmp_path / 'scores', 'hash', print)
    assert table['arch'].tolist() == list(map(str, ARCHS)) and list(table) == ['arch', 'knn', 'linear']
    subnet, features = subnet_of(ARCHS[1]), []
    train, val = crops(data, 'train'), crops(data, 'val')
    calibrate_bn(subnet, train)
    for images in (train, val):
        with torch.no_grad():
            features.append(torch.cat([subnet(batch)[-1] for batch in images]).mean(dim=(2, 3)).numpy())
    expected = knn_accuracy(features[0], np.array(train.labels), features[1], np.array(val.labels), 5)
    assert table['knn'][1] == expected and table[['knn', 'linear']].stack().between(0.3, 1).all()


def test_a_stopped_judge_goes_on(data, tmp_path):
    """Only what is missing is computed, and the result is that of an undisturbed run."""
    asked = []

    def stop_at_third(arch):
        asked.append(arch)
        if len(asked) == 3:
            raise KeyboardInterrupt
        return subnet_of(arch)

    whole = judge(data).judge_all(ARCHS, subnet_of, tmp_path / 'whole', 'hash')
    with pytest.raises(KeyboardInterrupt):
        judge(data).judge_all(ARCHS, stop_at_third, tmp_path / 'scores', 'hash')
    assert (tmp_path / 'scores' / 'knn.csv').read_text().count('\n') == 3
    part = judge(data).judge_all(ARCHS, stop_at_third, tmp_path / 'scores', 'hash')
    assert asked == [*ARCHS, ARCHS[2]] and part.equals(whole)
    with pytest.raises(UserError, match='holds other scores .checkpoint_sha256 was hash, now other'):
        judge(data).judge_all(ARCHS, subnet_of, tmp_path / 'scores', 'other')
    with pytest.raises(UserError, match='k was 5, now 3'):
        judge(data, k=3).judge_all(ARCHS, subnet_of, tmp_path / 'scores', 'hash')


def test_bad_data_is_refused_before_any_work(data):
    with pytest.raises(UserError, match='kNN with k=25 needs 1 to 24'):
        judge(data, k=25)
    (data / 'val' / 'dark').rename(data / 'val' / 'darkness')
    with pytest.raises(UserError, match='differ in their classes .*dark'):
        judge(data)


def test_data_without_classes(tmp_path):
    for split in ('train', 'val'):
        tiny.photos(tmp_path / 'flat' / split, 8)
        tiny.photos(tmp_path / 'one' / split / 'only', 8)
    with pytest.raises(UserError, match='has no folder a class'):
        judge(tmp_path / 'flat')
    with pytest.raises(UserError, match='images of one class only'):
        judge(tmp_path / 'one')
    with pytest.raises(UserError, match='no such folder'):
        judge(tmp_path / 'nowhere')
