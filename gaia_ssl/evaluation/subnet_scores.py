"""Downstream scores of many subnets on labelled images."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from torch import nn

from gaia_ssl.datasets.center_crops import CenterCrops
from gaia_ssl.datasets.classes import check_classes
from gaia_ssl.datasets.fingerprint import images_fingerprint
from gaia_ssl.errors import UserError
from gaia_ssl.evaluation.bn_calibration import calibrate_bn
from gaia_ssl.evaluation.embeddings import rank_me
from gaia_ssl.evaluation.features import pooled_features
from gaia_ssl.evaluation.knn import knn_accuracy
from gaia_ssl.evaluation.linear_probe import linear_probe_accuracy
from gaia_ssl.evaluation.score_file import keep_scores
from gaia_ssl.evaluation.splits import stratified_split
from gaia_ssl.space import Arch
from gaia_ssl.terminal import say

SCORES = {
    'knn': 'kNN top-1 accuracy',
    'linear': 'linear probe top-1 accuracy',
    'semi-1': 'top-1 accuracy with 1 % of labels',
    'semi-10': 'top-1 accuracy with 10 % of labels',
}
"""Score -> what it is. The last three are a logistic regression on standardised, average-pooled C5 of the frozen subnet:
``semi-…`` on a stratified share of the training labels, a quick stand-in for semi-supervised fine-tuning."""
RANK_ME = 'rankme'
"""Beside them, RankMe of the training images' pooled C5: no yardstick, but what needs no labels to judge by."""


class SubnetJudge:
    """Scores subnets on labelled images: batch norm is calibrated on the training images, then features are judged.

    Args:
        train: Labelled training images.
        val: Labelled test images of the same classes.
        scores: Which of :data:`SCORES`, and :data:`RANK_ME`.
        k: Neighbours of ``knn``.
        seed: Of the labelled shares.

    Raises:
        UserError: If the classes of ``train`` and ``val`` differ or are fewer than two, there are fewer training images than
            ``k``, or a class has no image in a labelled share.
    """

    def __init__(self, train: CenterCrops, val: CenterCrops, scores: Sequence[str], k: int = 20, seed: int = 0) -> None:
        self.train, self.val, self.scores, self.k, self.seed = train, val, tuple(scores), k, seed
        self._labels = np.array(train.labels), np.array(val.labels)
        check_classes(val.dataset.CLASSES, train.dataset.CLASSES, f'{val.folder} and {train.folder}')
        if len(np.unique(self._labels[0])) < 2:
            raise UserError(f'{train.folder} has images of one class only; give a folder for each of two classes or more')
        if 'knn' in scores and not 1 <= k <= len(self._labels[0]):
            raise UserError(f'kNN with k={k} needs 1 to {len(self._labels[0])}, the number of training images, neighbours')
        self._shares = {
            score: stratified_split(self._labels[0], train.dataset.CLASSES, int(score.removeprefix('semi-')) / 100, seed)
            for score in scores if score.startswith('semi-')}

    def settings(self) -> dict[str, Any]:
        """What decides the scores of given weights, in plain values."""
        return dict(train_sha256=_fingerprint(self.train), val_sha256=_fingerprint(self.val), resolution=self.train.resolution,
                    batch_size=self.train.batch_size, k=self.k, seed=self.seed)

    def judge(self, subnet: nn.Module, scores: Sequence[str]) -> dict[str, float]:
        """The ``scores`` of ``subnet``, each in [0, 1] but RankMe; its batch norms are left calibrated."""
        calibrate_bn(subnet, self.train)
        train, val = pooled_features(subnet, self.train), pooled_features(subnet, self.val)
        return {score: self._score(score, train, val) for score in scores}

    def judge_all(self, archs: Sequence[Arch], subnet_of: Callable[[Arch], nn.Module], folder: str | os.PathLike,
                  checkpoint_sha256: str, report: Callable[[str], None] = say) -> pd.DataFrame:
        """Judge subnets, each kept in ``folder`` as it comes, so that the next call does what is missing.

        Args:
            archs: The subnets.
            subnet_of: Gives an arch's network.
            folder: Holds a CSV file a score.
            checkpoint_sha256: Of the weights that ``subnet_of`` gives.
            report: Where progress goes.

        Returns:
            A row an arch: ``arch`` and a column a score.

        Raises:
            UserError: If ``folder`` holds scores of other weights, data or settings.
        """
        settings = dict(checkpoint_sha256=checkpoint_sha256, **self.settings())
        return keep_scores(archs, self.scores, lambda arch, missing: self.judge(subnet_of(arch), missing), folder, settings,
                           report=report)

    def _score(self, score: str, train: np.ndarray, val: np.ndarray) -> float:
        train_labels, val_labels = self._labels
        if score == RANK_ME:
            return rank_me(train)
        if score == 'knn':
            return knn_accuracy(train, train_labels, val, val_labels, self.k)
        rows = self._shares.get(score, slice(None))
        return linear_probe_accuracy(train[rows], train_labels[rows], val, val_labels)


def _fingerprint(images: CenterCrops) -> str:
    return images_fingerprint(images.paths, images.folder, images.report)
