import numpy as np
import pytest

from gaia_ssl.errors import UserError
from gaia_ssl.evaluation import knn_accuracy


def by_hand(train, labels, test, test_labels, k, temperature) -> float:
    correct = 0
    for feature, label in zip(test, test_labels, strict=True):
        cosine = train @ feature / np.linalg.norm(train, axis=1) / np.linalg.norm(feature)
        votes = dict.fromkeys(labels.tolist(), 0.0)
        for index in np.argsort(-cosine)[:k]:
            votes[int(labels[index])] += np.exp(cosine[index] / temperature)
        correct += max(votes, key=votes.get) == label
    return correct / len(test)


@pytest.mark.parametrize('k, temperature', [(1, 0.07), (5, 0.07), (20, 0.07), (20, 10.0), (60, 0.5)])
def test_accuracy_equals_numpy(k, temperature):
    rng = np.random.default_rng(k)
    centres = rng.normal(size=(4, 6))
    labels, test_labels = rng.integers(0, 4, 60), rng.integers(0, 4, 40)
    train = (centres[labels] + rng.normal(size=(60, 6))) * rng.uniform(0.5, 2, (60, 1))
    test = centres[test_labels] + rng.normal(size=(40, 6))
    accuracy = knn_accuracy(train, labels, test, test_labels, k, temperature)
    assert accuracy == pytest.approx(by_hand(train, labels, test, test_labels, k, temperature))
    assert 0.3 < accuracy < 1


def test_the_votes_are_weighted():
    """One near neighbour of its class outvotes two far ones."""
    train = np.array([[1.0, 0.0], [0.0, 1.0], [0.1, 1.0]])
    labels = np.array([0, 1, 1])
    test = np.array([[1.0, 0.05]])
    assert knn_accuracy(train, labels, test, np.array([0]), k=3) == 1.0
    assert knn_accuracy(train, labels, test, np.array([0]), k=3, temperature=1e3) == 0.0


def test_k_beyond_the_data():
    features, labels = np.ones((4, 2)), np.zeros(4)
    with pytest.raises(UserError, match='k=5 needs at least 5 training images, there are 4'):
        knn_accuracy(features, labels, features, labels, k=5)
