"""Scoring subnets on a batch of images."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from gaia_ssl.models.algorithms import Supernet
from gaia_ssl.models.relations import pool_to
from gaia_ssl.search.scoring_copy import scoring_copy
from gaia_ssl.search.similarity import RelationTarget, embedding_similarity, relation_similarity
from gaia_ssl.search.task import STAGES
from gaia_ssl.space import Arch

if TYPE_CHECKING:
    from typing_extensions import Self  # in typing from Python 3.11 on

Features = dict[str, Tensor]
Targets = dict[str, Tensor | RelationTarget]


class SubnetEvaluator(ABC):
    """Scores archs on images, one number a feature and image. How the forwards are shared is the subclass's business.

    Args:
        model: The supernet: the student at the arch is compared with the teacher. It stays as it is.
        features: Which of ``c2`` … ``c5`` and ``z`` to score.
        temperature: Of the relations.
        dtype: Of the forward passes; similarities are always computed in float32.
        reference: Which teacher: the EMA at the ``'max'`` arch, or the frozen ``'teacher'`` of a :class:`SupernetDistill`.
    """

    def __init__(self, model: Supernet, features: Sequence[str], temperature: float = 0.2,
                 dtype: torch.dtype = torch.float32, reference: str = 'max') -> None:
        self.model = scoring_copy(model, dtype)
        self.features = tuple(features)
        self.temperature = temperature
        self.dtype = dtype
        self.reference = reference

    @property
    def device(self) -> torch.device:
        """Of the model."""
        return next(self.model.parameters()).device

    def twin(self) -> Self:
        """The same for another thread, on the same weights."""
        return type(self)(self.model, self.features, self.temperature, self.dtype, self.reference)

    @abstractmethod
    def score(self, images: Tensor, archs: Sequence[Arch]) -> Tensor:
        """Similarity to the teacher.

        Args:
            images: One batch ``(N, 3, H, W)``, normalised. Batch norm uses this batch's statistics.
            archs: What to score.

        Returns:
            ``(len(archs), len(features), N)``, float32, on the CPU.
        """

    def prepare(self, images: Tensor) -> Tensor:
        """Images as the networks want them."""
        return images.to(self.dtype, memory_format=torch.channels_last)

    @torch.no_grad()
    def teach(self, images: Tensor) -> Targets:
        """What students are compared with on these prepared images."""
        if self.reference == 'teacher':
            features = self.model.frozen_features(images.float(), self.features)
            if 'z' in features:
                features['z'] = self.centre(features['z'])
        else:
            teacher = self.model.teacher
            features = self.extract(teacher['backbone'], teacher['neck'], images)
        return {name: features[name] if name == 'z' else RelationTarget(features[name], self.temperature)
                for name in self.features}

    def extract(self, backbone: Any, neck: nn.Module, images: Tensor) -> Features:
        """All stages' maps, and the embedding if it is scored, at the arch that is set."""
        backbone.out_indices = (0, 1, 2, 3)
        maps = dict(zip(STAGES, backbone(images), strict=True))
        return maps | {'z': self.embed(neck, maps['c5'])} if 'z' in self.features else maps

    def embed(self, neck: nn.Module, c5: Tensor) -> Tensor:
        """``(N, C, H, W)`` to ``(N, D)``."""
        return self.centre(neck((c5, ))[0])

    def centre(self, embeddings: Tensor) -> Tensor:
        """``(N, D)`` less the mean over these images, if that is how the method compares them."""
        return embeddings - embeddings.mean(dim=0) if self.model.centres_embeddings else embeddings

    @staticmethod
    def compare(name: str, student: Tensor, target: Any) -> Tensor:
        """Similarity ``(N,)`` of one feature; a map is pooled to the grid of the target, if that is coarser."""
        if name == 'z':
            return embedding_similarity(student, target)
        return relation_similarity(pool_to(student, target.shape[2:]), target)


class ForwardEvaluator(SubnetEvaluator):
    """One forward a subnet, the teacher's features once a batch: the plain way."""

    def score(self, images: Tensor, archs: Sequence[Arch]) -> Tensor:
        images = self.prepare(images)
        return self.score_prepared(images, self.teach(images), archs)

    @torch.no_grad()
    def score_prepared(self, images: Tensor, targets: Targets, archs: Sequence[Arch]) -> Tensor:
        """As :meth:`score`, of what :meth:`prepare` and :meth:`teach` gave."""
        scores = torch.empty(len(archs), len(self.features), len(images))
        for row, arch in zip(scores, archs, strict=True):
            self.model.backbone.set_arch(arch)
            features = self.extract(self.model.backbone, self.model.neck, images)
            row.copy_(torch.stack([self.compare(name, features[name], targets[name]) for name in self.features]))
        return scores
