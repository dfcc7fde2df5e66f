"""Every protocol on a handful of tiny images, through mmpretrain and mmengine's Runner."""

import json

import numpy as np
import pytest
import torch
from mmengine.config import Config
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from gaia_ssl.checkpoint import load_checkpoint
from gaia_ssl.engine.classifier_runs import set_batch_size
from gaia_ssl.engine.judge import PROTOCOLS, RUNS, TRAINED, Judge, JudgeSettings
from gaia_ssl.errors import UserError
from gaia_ssl.evaluation import knn_accuracy
from gaia_ssl.evaluation.features import pooled_features
from gaia_ssl.export import downstream_config_path, export_subnet, read_subnet
from tests import tiny

ARCH = tiny.SPACE[11]


@pytest.fixture
def data(tmp_path):
    """100 images of one class and 60 of another, so that a hundredth is an image of each."""
    tiny.labelled_photos(tmp_path / 'data', train=100, val=4, classes=('blue', 'green'), size=16)
    for index in range(60, 100):
        (tmp_path / 'data' / 'train' / 'green' / f'{index:03d}.png').unlink()
    return tmp_path / 'data'


@pytest.fixture
def checkpoint(tmp_path):
    return str(tiny.save_supernet(tmp_path / 'supernet.pth'))


def judge(checkpoint, data, arch=ARCH, **settings) -> Judge:
    settings = dict(resolution=16, epochs=2, batch_size=16) | settings
    return Judge(str(checkpoint), str(data), JudgeSettings(**settings), arch, workers=0, report=lambda line: None)


def state(folder, epoch: int = 2) -> dict:
    return load_checkpoint(folder / f'epoch_{epoch}.pth')['state_dict']


def backbone_of(weights: dict) -> dict:
    return {name.removeprefix('backbone.'): value for name, value in weights.items() if name.startswith('backbone.')}


def test_protocols_on_features_equal_scikit_learn(checkpoint, data, tmp_path):
    judged = judge(checkpoint, data)
    judged.prepare(tmp_path / 'work')
    net, meta = read_subnet(tmp_path / 'work' / RUNS / 'backbone.pth')
    assert meta['arch'] == str(ARCH) and meta['calibration'] == dict(images=160, batch_size=64, resolution=16)
    assert not torch.equal(net.bn1.running_mean, read_subnet(checkpoint, ARCH)[0].bn1.running_mean)
    train, val = pooled_features(net, judged.train), pooled_features(net, judged.val)
    labels, val_labels = np.repeat([0, 1], [100, 60]), np.repeat([0, 1], [4, 4])
    assert judged.score('knn', None)['top1'] == knn_accuracy(train, labels, val, val_labels)
    scaler = StandardScaler().fit(train)
    expected = LogisticRegression(max_iter=1000).fit(scaler.transform(train), labels).score(scaler.transform(val), val_labels)
    assert judged.score('linear-fast', None)['top1'] == expected


def test_the_linear_protocol_freezes_the_backbone(checkpoint, data, tmp_path):
    judged = judge(checkpoint, data)
    judged.prepare(tmp_path)
    result = judged.score('linear', 0)
    assert 0 <= result['top1'] <= 1 and (result['epochs'], result['batch_size']) == (2, 16)
    assert result['lr'] == pytest.approx(30 * 16 / 256)
    before = load_checkpoint(tmp_path / RUNS / 'backbone.pth')['state_dict']
    trained = [state(tmp_path / RUNS / 'linear_seed0', epoch) for epoch in (1, 2)]
    assert tiny.equal(backbone_of(trained[1]), before)  # batch norm statistics and counters, too
    assert not torch.equal(trained[0]['head.fc.weight'], trained[1]['head.fc.weight'])


@pytest.mark.parametrize('protocol, images', [('semi-1', 2), ('semi-10', 16), ('finetune', 160)])
def test_protocols_that_train_all(checkpoint, data, tmp_path, protocol, images):
    judged = judge(checkpoint, data, small=True)
    judged.prepare(tmp_path)
    result = judged.score(protocol, 3)
    assert 0 <= result['top1'] <= 1 and result['batch_size'] == min(16, images)
    after = backbone_of(state(tmp_path / RUNS / f'{protocol}_seed3'))
    before = load_checkpoint(tmp_path / RUNS / 'backbone.pth')['state_dict']
    assert list(after) == list(before)
    assert not torch.equal(after['layer1.0.conv1.weight'], before['layer1.0.conv1.weight'])
    if protocol != 'finetune':
        lines = (tmp_path / RUNS / f'{protocol}_seed3.txt').read_text().splitlines()
        assert len(lines) == images
        assert all(line.split()[1] == dict(blue='0', green='1')[line.split('/')[0]] for line in lines)


def test_a_resumed_run_ends_in_the_same_bits(checkpoint, data, tmp_path):
    judged = judge(checkpoint, data)
    judged.prepare(tmp_path)
    run = tmp_path / RUNS / 'semi-10_seed0'
    result, whole = judged.score('semi-10', 0), state(run)
    (run / 'epoch_2.pth').unlink()  # as if it had been killed in the second epoch
    again = judged.score('semi-10', 0)
    assert tiny.equal(state(run), whole) and again['top1'] == result['top1']
    written = (run / 'epoch_2.pth').stat().st_mtime_ns
    assert judged.score('semi-10', 0)['top1'] == result['top1']  # tested only
    assert (run / 'epoch_2.pth').stat().st_mtime_ns == written


def test_the_seed_counts(checkpoint, data, tmp_path):
    judged = judge(checkpoint, data, epochs=1)
    judged.prepare(tmp_path)
    for seed in (0, 1):
        judged.score('semi-10', seed)
    weights = [state(tmp_path / RUNS / f'semi-10_seed{seed}', 1)['head.fc.weight'] for seed in (0, 1)]
    splits = [(tmp_path / RUNS / f'semi-10_seed{seed}.txt').read_text() for seed in (0, 1)]
    assert splits[0] != splits[1] and not torch.equal(*weights)


def test_an_exported_backbone(checkpoint, data, tmp_path):
    path = export_subnet(checkpoint, ARCH, str(data / 'val'), tmp_path / 'out', resolution=24, report=lambda line: None)
    weights = load_checkpoint(path)['state_dict']
    as_it_is = judge(path, data, arch=None, calibration_images=0, resolution=None)
    assert as_it_is.resolution == 24
    as_it_is.prepare(tmp_path / 'as_it_is')
    assert tiny.equal(load_checkpoint(tmp_path / 'as_it_is' / RUNS / 'backbone.pth')['state_dict'], weights)
    calibrated = judge(path, data, arch=ARCH)
    calibrated.prepare(tmp_path / 'calibrated')
    after = load_checkpoint(tmp_path / 'calibrated' / RUNS / 'backbone.pth')['state_dict']
    assert torch.equal(after['conv1.weight'], weights['conv1.weight'])
    assert not torch.equal(after['bn1.running_mean'], weights['bn1.running_mean'])


def test_the_description_is_plain_and_complete(checkpoint, data):
    description = judge(checkpoint, data).description()
    assert json.loads(json.dumps(description)) == description
    assert (description['arch'], description['classes'], description['resolution']) == (str(ARCH), ['blue', 'green'], 16)
    assert (description['train']['images'], description['val']['images']) == (160, 8)
    assert description['train']['sha256'] != description['val']['sha256'] and len(description['checkpoint_sha256']) == 64


def test_what_does_not_suit(checkpoint, data):
    with pytest.raises(UserError, match="'linaer' is not a protocol; choose from knn, linear-fast, linear,"):
        judge(checkpoint, data).check('linaer')
    with pytest.raises(UserError, match='k=161 needs at least 161 training images, there are 160'):
        judge(checkpoint, data, k=161).check('knn')
    with pytest.raises(UserError, match='head_lr_mult is a setting of semi-1 and semi-10, not of linear'):
        judge(checkpoint, data, head_lr_mult=10).check('linear')
    with pytest.raises(UserError, match='batch norms have to be calibrated'):
        judge(checkpoint, data, calibration_images=0)
    for settings in (dict(epochs=0), dict(lr=-1.0), dict(lr=float('nan')), dict(batch_size=0)):
        with pytest.raises(UserError, match='give a number above 0'):
            JudgeSettings(**settings)
    with pytest.raises(UserError, match='share from 0 to 1'):
        JudgeSettings(max_unreadable=2)
    for index in range(49, 60):
        (data / 'train' / 'green' / f'{index:03d}.png').unlink()
    for protocol in PROTOCOLS:
        if protocol != 'semi-1':
            judge(checkpoint, data).check(protocol)
    with pytest.raises(UserError, match='1% of the images is none in 1 of 2 classes, e.g. green .49.'):
        judge(checkpoint, data).check('semi-1')


@pytest.mark.parametrize('batch_size, images, lr, expected', [
    (256, 1000, None, (256, 30.0)), (64, 1000, None, (64, 7.5)), (64, 16, None, (16, 1.875)), (64, 1000, 3.0, (64, 3.0))])
def test_the_learning_rate_follows_the_batch(batch_size, images, lr, expected):
    config = Config.fromfile(downstream_config_path(TRAINED['linear']))
    set_batch_size(config, batch_size, images, lr)
    assert (config.train_dataloader.batch_size, config.optim_wrapper.optimizer.lr) == expected
