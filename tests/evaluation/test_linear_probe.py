import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import logsumexp

from gaia_ssl.errors import UserError
from gaia_ssl.evaluation import linear_probe_accuracy


def by_scipy(train, labels, test, test_labels, strength) -> float:
    """Standardise; minimise cross-entropy times ``strength`` plus half the squared weights, biases free."""
    mean, std = train.mean(0), train.std(0)
    train, test = (train - mean) / std, (test - mean) / std
    classes, dims = labels.max() + 1, train.shape[1]

    def loss(theta):
        weights, bias = theta[:classes * dims].reshape(classes, dims), theta[classes * dims:]
        logits = train @ weights.T + bias
        return strength * (logsumexp(logits, 1) - logits[np.arange(len(labels)), labels]).sum() + (weights**2).sum() / 2

    theta = minimize(loss, np.zeros(classes * (dims + 1)), method='L-BFGS-B', options=dict(maxfun=10**6)).x
    logits = test @ theta[:classes * dims].reshape(classes, dims).T + theta[classes * dims:]
    return float((logits.argmax(1) == test_labels).mean())


@pytest.mark.parametrize('strength', [1.0, 0.01])
def test_accuracy_equals_scipy(strength):
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(3, 4))
    labels, test_labels = rng.integers(0, 3, 60), rng.integers(0, 3, 200)
    scale = np.array([1.0, 100.0, 0.01, 5.0])
    train = (centres[labels] + rng.normal(size=(60, 4))) * scale + 3
    test = (centres[test_labels] + rng.normal(size=(200, 4))) * scale + 3
    accuracy = linear_probe_accuracy(train, labels, test, test_labels, strength)
    assert accuracy == by_scipy(train, labels, test, test_labels, strength)
    assert 0.4 < accuracy < 1


def test_one_class():
    features, labels = np.ones((4, 2)), np.zeros(4)
    with pytest.raises(UserError, match='at least 2 classes'):
        linear_probe_accuracy(features, labels, features, labels)
