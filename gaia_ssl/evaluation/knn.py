"""k nearest neighbours on features: how much of the classes an unsupervised network has found."""

import numpy as np
from sklearn.neighbors import KNeighborsClassifier

from gaia_ssl.errors import UserError


def knn_accuracy(train_features: np.ndarray, train_labels: np.ndarray, test_features: np.ndarray, test_labels: np.ndarray,
                 k: int = 20, temperature: float = 0.07) -> float:
    """Top-1 accuracy in [0, 1] of cosine kNN, votes weighted by ``exp(cosine / temperature)`` as in instance discrimination.

    Args:
        train_features, test_features: ``(N, D)``.
        train_labels, test_labels: ``(N,)``.
        k: Neighbours.
        temperature: Of the votes.

    Raises:
        UserError: If there are fewer training images than ``k``.
    """
    if len(train_features) < k:
        raise UserError(f'kNN with k={k} needs at least {k} training images, there are {len(train_features)}; lower k')
    classifier = KNeighborsClassifier(n_neighbors=k, metric='cosine',
                                      weights=lambda distance: np.exp(-np.asarray(distance, dtype=float) / temperature))
    return float(classifier.fit(train_features, train_labels).score(test_features, test_labels))
