"""The losses of distillation from a frozen teacher."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from mmengine.model import BaseModule
from torch import Tensor
from torch.nn import functional as F

from gaia_ssl.errors import UserError
from gaia_ssl.models.backbones.bottleneck_resnet import STAGES
from gaia_ssl.models.heads.relation_head import RelationHead
from gaia_ssl.models.relations import relation_divergence
from gaia_ssl.registry import MODELS


@MODELS.register_module()
class DistillHead(BaseModule):
    """A weighted sum of what a student can learn from a frozen teacher's features of the same view.

    - ``regression``: one minus the cosine of the student's prediction and the teacher's pooled feature, both centred.
    - ``queue``: how the view relates to a queue of the teacher's features and to its own one (SEED,
      https://arxiv.org/abs/2101.04731): cross-entropy of the student's relations for the teacher's.
    - ``relations``: how positions relate to one another, the search's own measure (Eq. 4 and 5) with its sign turned.

    Args:
        regression, queue, relations: Weights, 0 or more; a loss of weight 0 is not computed.
        relation_stages: Which of the student's ``c2`` … ``c5`` relations are compared of, mean over them.
        relation_temperature: Of the relations between positions, as in the search.
        student_temperature, teacher_temperature: Of the relations to the queue.
    """

    def __init__(self,
                 regression: float = 1.,
                 queue: float = 0.,
                 relations: float = 0.,
                 relation_stages: Sequence[str] = ('c5', ),
                 relation_temperature: float = 0.2,
                 student_temperature: float = 0.2,
                 teacher_temperature: float = 0.01,
                 init_cfg: dict | list[dict] | None = None) -> None:
        super().__init__(init_cfg)
        self.weights = dict(regression=regression, queue=queue, relations=relations)
        if min(self.weights.values()) < 0 or not any(self.weights.values()):
            each = ', '.join(f'{name} {weight}' for name, weight in self.weights.items())
            raise UserError(f'the weights of the losses are {each}; give numbers of 0 or more, not all 0')
        if not relation_stages or not set(relation_stages) <= set(STAGES):
            raise UserError(f"relation_stages is {list(relation_stages)}; choose from {', '.join(STAGES)}")
        if not relation_temperature > 0:
            raise UserError(f'relation_temperature is {relation_temperature}; it must be above 0')
        self.relation_stages = tuple(stage for stage in STAGES if stage in relation_stages) if relations else ()
        self.relation_temperature = relation_temperature
        self.to_queue = RelationHead(student_temperature, teacher_temperature)

    def loss(self, prediction: Tensor, maps: Mapping[str, Tensor], targets: Mapping[str, Tensor],
             queue: Tensor | None = None) -> Tensor:
        """The weighted sum, a scalar.

        Args:
            prediction: Of the teacher's pooled feature, ``(N, D)``, centred.
            maps: The student's of :attr:`relation_stages`, each ``(N, C', H', W')``.
            targets: The teacher's: ``pooled`` ``(N, D)``, centred, and a map ``(N, C, H, W)`` a relation stage.
            queue: Unit features of earlier images, ``(D, K)``, for the loss of that name.
        """
        with torch.autocast(prediction.device.type, enabled=False):
            terms = {name: getattr(self, f'_{name}')(prediction.float(), maps, targets, queue)
                     for name, weight in self.weights.items() if weight}
        return sum(self.weights[name] * term for name, term in terms.items())

    def _regression(self, prediction: Tensor, _maps: Mapping, targets: Mapping, _queue: Tensor | None) -> Tensor:
        return 1 - F.cosine_similarity(prediction, targets['pooled'], dim=1).mean()

    def _queue(self, prediction: Tensor, _maps: Mapping, targets: Mapping, queue: Tensor) -> Tensor:
        teacher = F.normalize(targets['pooled'], dim=1)
        relations = [torch.cat([(features * teacher).sum(1, keepdim=True), features @ queue], dim=1)
                     for features in (F.normalize(prediction, dim=1), teacher)]
        return self.to_queue.loss(*relations)

    def _relations(self, _prediction: Tensor, maps: Mapping, targets: Mapping, _queue: Tensor | None) -> Tensor:
        each = [relation_divergence(maps[stage], targets[stage], self.relation_temperature) for stage in self.relation_stages]
        return torch.stack(each).mean()
