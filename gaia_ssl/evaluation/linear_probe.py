"""A linear classifier on features: what of the classes can be read off them."""

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from gaia_ssl.errors import UserError


def linear_probe_accuracy(train_features: np.ndarray, train_labels: np.ndarray, test_features: np.ndarray,
                          test_labels: np.ndarray, strength: float = 1.0, max_iter: int = 1000) -> float:
    """Top-1 accuracy in [0, 1] of a logistic regression on standardised features.

    A fast stand-in for the linear protocol: no augmentation, one pass over the images. The problem is convex, so that there is
    no seed. Minutes for 100,000 features of 2,048 dimensions.

    Args:
        train_features, test_features: ``(N, D)``.
        train_labels, test_labels: ``(N,)``.
        strength: scikit-learn's ``C``, the inverse of the L2 penalty.
        max_iter: Steps of L-BFGS at most.

    Raises:
        UserError: If the training images are all of one class.
    """
    if len(np.unique(train_labels)) < 2:
        raise UserError('a linear probe needs training images of at least 2 classes, there is 1')
    probe = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=max_iter))
    return float(probe.fit(train_features, train_labels).score(test_features, test_labels))
