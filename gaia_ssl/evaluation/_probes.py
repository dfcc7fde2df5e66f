"""Probes on pooled features."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn

from gaia_ssl.errors import UserError


@torch.no_grad()
def pooled_features(backbone: nn.Module, batches: Iterable[Tensor]) -> np.ndarray:
    """Average-pooled C5 of each image, ``(N, channels)``."""
    return torch.cat([backbone(batch)[-1].mean(dim=(2, 3)).float().cpu() for batch in batches]).numpy()


def linear_accuracy(train_x: np.ndarray, train_y: np.ndarray, test_x: np.ndarray, test_y: np.ndarray) -> float:
    """Top-1 accuracy in [0, 1] of a logistic regression on standardised features ``(N, D)``, labels ``(N,)``."""
    return float(make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(train_x, train_y).score(test_x, test_y))


def labelled_share(labels: np.ndarray, share: float, seed: int) -> np.ndarray:
    """Indices of a stratified ``share`` of ``labels``.

    Raises:
        UserError: If a class is too small to have one image in it.
    """
    rng, chosen = np.random.default_rng(seed), []
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        count = round(share * len(members))
        if count < 1:
            raise UserError(f'{share:.0%} of the {len(members)} training images of class {label} is none; use a larger share')
        chosen.append(rng.permutation(members)[:count])
    return np.sort(np.concatenate(chosen))
