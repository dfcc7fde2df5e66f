"""What one subnet of a supernet is worth as it stands, without a trace left in the supernet."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from gaia_ssl.datasets.image_folder import seeded_generators
from gaia_ssl.evaluation.bn_calibration import Batches, calibrate_bn
from gaia_ssl.evaluation.embeddings import embedding_std, rank_me
from gaia_ssl.evaluation.knn import knn_accuracy
from gaia_ssl.models import extract_subnet
from gaia_ssl.models.algorithms import Supernet
from gaia_ssl.models.dynamic import DynamicBatchNorm1d, DynamicSyncBatchNorm
from gaia_ssl.precision import full_float32
from gaia_ssl.space import Arch

MEASURES = dict(
    knn=('kNN accuracy', 'share of images, top-1'),
    rankme=('RankMe of embeddings', 'effective number of dimensions'),
    std=('std of embeddings', 'relative to evenly spread directions'))
"""What :func:`judge_subnet` measures; and the title and the unit for a plot."""


def judge_subnet(model: Supernet,
                 arch: Arch,
                 batches: Batches,
                 labels: Sequence | None = None,
                 val_batches: Iterable[Tensor] = (),
                 val_labels: Sequence | None = None,
                 k: int = 20) -> dict[str, float]:
    """Measure a copy of one subnet and of the neck, both with batch norms recalibrated on ``batches``.

    The model keeps its weights, statistics, arch, mode and gradients, to the bit, and so do the random generators of
    torch, NumPy and Python. Everything runs in this process alone, on the model's device, in float32.

    Args:
        model: The supernet; any method.
        arch: Not larger than the supernet in any dimension.
        batches: Training images: a sized iterable, gone through twice, of normalised batches ``(N, 3, H, W)``.
        labels: Their classes. With these, there is a kNN accuracy.
        val_batches, val_labels: Test images and classes of the kNN.
        k: Neighbours of the kNN.

    Returns:
        ``rankme`` and ``std`` of the training images' embeddings, see :func:`rank_me` and :func:`embedding_std`; and where
        both have labels ``knn``, the top-1 accuracy in [0, 1] on average-pooled C5. What is not finite gives NaN.

    Raises:
        UserError: If the supernet has no weights for ``arch``, or there are fewer than ``k`` training images.
    """
    device = next(model.parameters()).device
    with (seeded_generators(0), torch.random.fork_rng(devices=[device] if device.type == 'cuda' else []),
          torch.autocast(device.type, enabled=False), full_float32()):
        network = _Subnet(model, arch).to(device)
        calibrate_bn(network, batches)
        features, embeddings = network.encode(batches)
        measures = dict(rankme=rank_me(embeddings), std=embedding_std(embeddings))
        if labels is None or val_labels is None:
            return measures
        val_features, _ = network.encode(val_batches)
    if np.isfinite(features).all() and np.isfinite(val_features).all():
        knn = knn_accuracy(features, np.asarray(labels), val_features, np.asarray(val_labels), k)
    else:
        knn = math.nan
    return dict(knn=knn, **measures)


def find_collapse(measures: dict[str, float], min_rankme: float = 2.0, min_std: float = 0.1) -> str | None:
    """In words, why these measures are those of a collapsed subnet; None if they are not.

    Args:
        measures: Of :func:`judge_subnet`.
        min_rankme, min_std: Below either the embeddings are nearly the same for all images. A std of 0.1 is a mean cosine
            of 0.99 between two images.
    """
    if not all(map(math.isfinite, measures.values())):
        return f"is broken: {', '.join(name for name, value in measures.items() if not math.isfinite(value))} not finite"
    bounds = dict(rankme=min_rankme, std=min_std)
    reasons = [f'{name} {measures[name]:.2g} is below {bound:g}' for name, bound in bounds.items() if measures[name] < bound]
    return f"has collapsed: {', '.join(reasons)}, so that nearly all images look the same to it" if reasons else None


class _Subnet(nn.Module):
    """A static copy of a subnet's backbone and of the student's neck."""

    def __init__(self, model: Supernet, arch: Arch) -> None:
        super().__init__()
        self.backbone = extract_subnet(model.backbone, arch)
        self.neck = copy.deepcopy(model.neck)
        for module in self.neck.modules():
            if isinstance(module, (nn.SyncBatchNorm, DynamicSyncBatchNorm)):
                module.__class__ = _LocalBatchNorm  # type: ignore[assignment]

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """``(N, 3, H, W)`` to average-pooled C5 ``(N, C)`` and embeddings ``(N, D)``."""
        images = images.to(next(self.parameters()).device, memory_format=torch.channels_last)
        c5 = self.backbone(images)[-1]
        return c5.mean(dim=(2, 3)), self.neck((c5, ))[0]

    @torch.no_grad()
    def encode(self, batches: Iterable[Tensor]) -> tuple[np.ndarray, np.ndarray]:
        """Pooled C5 and embeddings of all batches, ``(N, C)`` and ``(N, D)``."""
        parts = [[part.cpu() for part in self(images)] for images in batches]
        pooled, embeddings = (torch.cat(part).numpy() for part in zip(*parts, strict=True))
        return pooled, embeddings


class _LocalBatchNorm(DynamicBatchNorm1d):
    """In place of a synchronised batch norm: waits for no other process, and takes inputs of any shape ``(N, c, …)``."""

    def _check_input_dim(self, x: Tensor) -> None:
        pass
