"""Scoring subnets on a batch of images."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from gaia_ssl.models.algorithms import Supernet
from gaia_ssl.models.dynamic.statistics import batch_statistics
from gaia_ssl.search.similarity import embedding_similarity, relation_similarity
from gaia_ssl.search.task import STAGES
from gaia_ssl.space import Arch

Features = dict[str, Tensor]


class SubnetEvaluator(ABC):
    """Scores archs on images, one number a feature and image. How the forwards are shared is the subclass's business.

    Args:
        model: The supernet: the student at the arch is compared with the teacher at the max arch.
        features: Which of ``c2`` … ``c5`` and ``z`` to score.
        temperature: Of the relations.
        dtype: Of the forward passes; similarities are always computed in float32.
    """

    def __init__(self, model: Supernet, features: Sequence[str], temperature: float = 0.2,
                 dtype: torch.dtype = torch.float32) -> None:
        self.model = model
        self.features = tuple(features)
        self.temperature = temperature
        self.dtype = dtype

    @abstractmethod
    def score(self, images: Tensor, archs: Sequence[Arch], on_arch: Callable[[], None] = lambda: None) -> Tensor:
        """Similarity to the teacher.

        Args:
            images: One batch ``(N, 3, H, W)``, normalised. Batch norm uses this batch's statistics.
            archs: What to score.
            on_arch: Called after each arch, for progress.

        Returns:
            ``(len(archs), len(features), N)``, float32, on the CPU.
        """

    def compare(self, student: Features, teacher: Features) -> Tensor:
        """Similarities ``(len(features), N)`` of one arch's features with the teacher's."""
        return torch.stack([
            embedding_similarity(student[name], teacher[name]) if name == 'z' else relation_similarity(
                student[name], teacher[name], self.temperature) for name in self.features
        ])


class ForwardEvaluator(SubnetEvaluator):
    """One forward a subnet, the teacher's features once a batch: the plain way."""

    @torch.no_grad()
    def score(self, images: Tensor, archs: Sequence[Arch], on_arch: Callable[[], None] = lambda: None) -> Tensor:
        model, images = self.model, images.contiguous(memory_format=torch.channels_last)
        scores = torch.empty(len(archs), len(self.features), len(images))
        with batch_statistics(model):
            teacher = self._extract(model.teacher['backbone'], model.teacher['neck'], images)
            for row, arch in zip(scores, archs, strict=True):
                model.backbone.set_arch(arch)
                row.copy_(self.compare(self._extract(model.backbone, model.neck, images), teacher))
                on_arch()
        return scores

    def _extract(self, backbone: nn.Module, neck: nn.Module, images: Tensor) -> Features:
        kept, backbone.out_indices = backbone.out_indices, (0, 1, 2, 3)
        try:
            with torch.autocast(images.device.type, dtype=torch.bfloat16, enabled=self.dtype == torch.bfloat16):
                maps = dict(zip(STAGES, backbone(images), strict=True))
                z = neck((maps['c5'], ))[0] if 'z' in self.features else None
        finally:
            backbone.out_indices = kept
        return maps if z is None else maps | {'z': z}
