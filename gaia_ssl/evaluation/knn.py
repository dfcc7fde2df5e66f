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
    check_neighbours(len(train_features), k)
    classifier = KNeighborsClassifier(n_neighbors=k, metric='cosine',
                                      weights=lambda distance: np.exp(-np.asarray(distance, dtype=float) / temperature))
    return float(classifier.fit(train_features, train_labels).score(test_features, test_labels))


def check_neighbours(images: int, k: int) -> None:
    """Whether there are ``k`` neighbours among ``images``.

    Raises:
        UserError: If not, or ``k`` is not positive.
    """
    if k < 1:
        raise UserError(f'kNN with k={k} has no neighbour to ask; give k=1 or more')
    if images < k:
        raise UserError(f'kNN with k={k} needs at least {k} training images, there are {images}; lower k')
