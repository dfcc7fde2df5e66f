"""Scoring subnets on a batch of images."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from gaia_ssl.models.algorithms import Supernet
from gaia_ssl.models.backbones.bottleneck_resnet import STAGES
from gaia_ssl.search.measures import FeatureTarget
from gaia_ssl.search.scoring_copy import scoring_copy
from gaia_ssl.search.task import POOLED, feature_of, measure_of
from gaia_ssl.space import Arch

if TYPE_CHECKING:
    from typing_extensions import Self  # in typing from Python 3.11 on

Features = dict[str, Tensor]
Targets = dict[str, FeatureTarget]


class SubnetEvaluator(ABC):
    """Scores archs on images, one number a quantity and image. How the forwards are shared is the subclass's business.

    Args:
        model: The supernet: the student at the arch is compared with the teacher. It stays as it is.
        quantities: What to score, as :func:`gaia_ssl.search.task.quantities_of` gives it.
        temperature: Of the paper's relations.
        dtype: Of the forward passes; similarities are always computed in float32.
        reference: Which teacher: the EMA at the ``'max'`` arch, or the frozen ``'teacher'`` of a :class:`SupernetDistill`.
    """

    def __init__(self, model: Supernet, quantities: Sequence[str], temperature: float = 0.2,
                 dtype: torch.dtype = torch.float32, reference: str = 'max') -> None:
        self.model = scoring_copy(model, dtype)
        self.quantities = tuple(quantities)
        self.features = tuple(dict.fromkeys(map(feature_of, self.quantities)))
        self.quantities_by_feature = {feature: [each for each in self.quantities if feature_of(each) == feature]
                                      for feature in self.features}
        self.temperature = temperature
        self.dtype = dtype
        self.reference = reference

    @property
    def device(self) -> torch.device:
        """Of the model."""
        return next(self.model.parameters()).device

    def twin(self) -> Self:
        """The same for another thread, on the same weights."""
        return type(self)(self.model, self.quantities, self.temperature, self.dtype, self.reference)

    @abstractmethod
    def score(self, images: Tensor, archs: Sequence[Arch]) -> Tensor:
        """Similarity to the teacher.

        Args:
            images: One batch ``(N, 3, H, W)``, normalised. Batch norm uses this batch's statistics, and measures between
                images relate these.
            archs: What to score.

        Returns:
            ``(len(archs), len(quantities), N)``, float32, on the CPU.
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
        return {name: FeatureTarget(features[name], list(map(measure_of, quantities)), self.temperature)
                for name, quantities in self.quantities_by_feature.items()}

    def extract(self, backbone: Any, neck: nn.Module, images: Tensor) -> Features:
        """All stages' maps, and what else is scored, at the arch that is set."""
        backbone.out_indices = (0, 1, 2, 3)
        maps = dict(zip(STAGES, backbone(images), strict=True))
        return maps | {name: self.read(name, neck, maps['c5']) for name in self.features if name not in maps}

    def read(self, feature: str, neck: nn.Module, output: Tensor) -> Tensor:
        """A feature of the last stage that it needs, from that stage's output."""
        if feature == POOLED:
            return output.float().mean(dim=(2, 3))
        return self.embed(neck, output) if feature == 'z' else output

    def embed(self, neck: nn.Module, c5: Tensor) -> Tensor:
        """``(N, C, H, W)`` to ``(N, D)``."""
        return self.centre(neck((c5, ))[0])

    def centre(self, embeddings: Tensor) -> Tensor:
        """``(N, D)`` less the mean over these images, if that is how the method compares them."""
        return embeddings - embeddings.mean(dim=0) if self.model.centres_embeddings else embeddings

    def compare(self, feature: str, student: Tensor, targets: Targets) -> dict[str, Tensor]:
        """Each quantity of a feature: similarity to the teacher, ``(N,)``."""
        return dict(zip(self.quantities_by_feature[feature], targets[feature].compare(student), strict=True))


class ForwardEvaluator(SubnetEvaluator):
    """One forward a subnet, the teacher's features once a batch: the plain way."""

    def score(self, images: Tensor, archs: Sequence[Arch]) -> Tensor:
        images = self.prepare(images)
        return self.score_prepared(images, self.teach(images), archs)

    @torch.no_grad()
    def score_prepared(self, images: Tensor, targets: Targets, archs: Sequence[Arch]) -> Tensor:
        """As :meth:`score`, of what :meth:`prepare` and :meth:`teach` gave."""
        scores = torch.empty(len(archs), len(self.quantities), len(images))
        for row, arch in zip(scores, archs, strict=True):
            self.model.backbone.set_arch(arch)
            features = self.extract(self.model.backbone, self.model.neck, images)
            found: dict[str, Tensor] = {}
            for name in self.features:
                found |= self.compare(name, features[name], targets)
            row.copy_(torch.stack([found[quantity] for quantity in self.quantities]))
        return scores
