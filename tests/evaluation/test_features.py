import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.neighbors import KNeighborsClassifier

from gaia_ssl.datasets.center_crops import CenterCrops
from gaia_ssl.datasets.fingerprint import images_fingerprint
from gaia_ssl.evaluation import knn_accuracy
from gaia_ssl.evaluation.features import cached_features, pooled_features
from gaia_ssl.models import SubnetResNet
from tests import tiny

NORMALISATION = dict(mean=[120.0, 115.0, 100.0], std=[58.0, 57.0, 56.0], to_rgb=True)


@pytest.fixture
def data(tmp_path):
    return tiny.labelled_photos(tmp_path / 'data')


def crops(folder, **kwargs):
    settings = dict(resolution=32, batch_size=5, with_label=True, report=lambda line: None) | kwargs
    return CenterCrops(str(folder), **NORMALISATION, **settings)


def network(seed: int = 0) -> SubnetResNet:
    torch.manual_seed(seed)
    return SubnetResNet(tiny.SPACE.max, stem_kernel=3).eval()


def fingerprint(images: CenterCrops) -> str:
    return images_fingerprint(images.paths, images.folder)


def test_pooled_features_are_torchs(data):
    net, images = network(), crops(data / 'train')
    with torch.no_grad():
        expected = torch.cat([torch.nn.functional.adaptive_avg_pool2d(net(batch)[3], 1).flatten(1) for batch in images])
    assert np.allclose(pooled_features(net, images), expected.numpy(), atol=1e-6)


def test_neighbours_of_images_are_scikit_learns(data):
    net, train, val = network(), crops(data / 'train'), crops(data / 'val')
    a, b = pooled_features(net, train), pooled_features(net, val)
    expected = KNeighborsClassifier(3, metric='cosine').fit(a, train.labels).score(b, val.labels)
    assert knn_accuracy(a, np.array(train.labels), b, np.array(val.labels), k=3, temperature=1e6) == expected
    assert expected > 0.5  # tints are told apart


def test_the_cache(data, tmp_path):
    folder, images = tmp_path / 'cache', crops(data / 'val')
    features = cached_features(network(), images, fingerprint(images), folder)
    path, = folder.iterdir()
    assert np.array_equal(np.load(path), features) and np.array_equal(features, pooled_features(network(), images))
    np.save(path, features + 1)  # so that a read is told from a computation
    assert np.array_equal(cached_features(network(), crops(data / 'val'), fingerprint(images), folder), features + 1)
    moved = data.rename(tmp_path / 'moved')
    images = crops(moved / 'val')
    assert np.array_equal(cached_features(network(), images, fingerprint(images), folder), features + 1)

    cached_features(network(1), images, fingerprint(images), folder)
    cached_features(network(), crops(moved / 'val', resolution=24), fingerprint(images), folder)
    with Image.open(moved / 'val' / 'red' / '001.png') as picture:
        picture.rotate(90).save(moved / 'val' / 'red' / '001.png')
    cached_features(network(), images, fingerprint(images), folder)
    assert len(list(folder.iterdir())) == 4


def test_a_damaged_cache_is_computed_again(data, tmp_path):
    images = crops(data / 'val')
    features = cached_features(network(), images, 'images', tmp_path / 'cache')
    path, = (tmp_path / 'cache').iterdir()
    for damaged in (b'', path.read_bytes()[:200]):
        path.write_bytes(damaged)
        assert np.array_equal(cached_features(network(), images, 'images', tmp_path / 'cache'), features)


def test_the_fingerprint_knows_classes_and_not_places(data, tmp_path):
    before = fingerprint(crops(data / 'train'))
    assert fingerprint(crops(data.rename(tmp_path / 'elsewhere') / 'train')) == before
    data = tmp_path / 'elsewhere'
    (data / 'train' / 'red' / '005.png').rename(data / 'train' / 'blue' / '006.png')
    assert fingerprint(crops(data / 'train')) != before
