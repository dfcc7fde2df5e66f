"""MoCo v2 on the supernet."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from gaia_ssl.errors import UserError
from gaia_ssl.models.algorithms.queue import add_queue, enqueue
from gaia_ssl.models.algorithms.shuffle import ShuffleBN
from gaia_ssl.models.algorithms.supernet import Supernet, Targets
from gaia_ssl.models.heads import RelationHead
from gaia_ssl.registry import MODELS


@MODELS.register_module()
class SupernetMoCo(Supernet):
    """MoCo v2 (https://arxiv.org/abs/2003.04297): InfoNCE (Eq. 1) of each arch against the same keys and the same queue.

    Args:
        queue_len: Keys kept as negatives; any number, whatever the batch size.
        feat_dim: Length of an embedding, as the neck puts it out.
        bn_splits: On one process, into how many parts the teacher's batch norm splits the batch, so that a key cannot be
            told by the statistics that it shares with its query. Across processes, keys are shuffled instead.
        soft_targets: Of the loss of every arch but the max one, the share that is no InfoNCE but distillation of the teacher
            at max: cross-entropy of how the query relates to the queue for how its key does, as in ReSSL. (SlimCLR,
            https://arxiv.org/abs/2209.15525, has a half, of the *online* max net, which would have to run first; US3L,
            https://arxiv.org/abs/2303.06870, all of it, of the EMA teacher.) It takes no further pass of a network.
        soft_temperatures: Of the student's and the teacher's relations for that.
        **kwargs: As in :class:`Supernet`.
    """

    def __init__(self, *args: Any, queue_len: int = 65536, feat_dim: int = 128, bn_splits: int = 4, soft_targets: float = 0.,
                 soft_temperatures: tuple[float, float] = (0.1, 0.04), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not 0 <= soft_targets <= 1:
            raise UserError(f"soft_targets is {soft_targets}; it is distillation's share in the loss of a subnet, in [0, 1]")
        self.soft_targets = soft_targets
        self.soft_head = RelationHead(*soft_temperatures)
        add_queue(self, 'queue', feat_dim, queue_len)
        self.shuffle_bn = ShuffleBN(self.teacher, bn_splits)

    @torch.no_grad()
    def teach(self, views: list[Tensor]) -> Targets:
        """Keys of the second view: this process's ``keys`` ``(N, D)`` and those of all processes, ``all_keys``."""
        self.check_views(views)
        all_keys = F.normalize(self.shuffle_bn(self.embed_teacher, views[1]).float(), dim=1)
        return dict(keys=self.shuffle_bn.own(all_keys), all_keys=all_keys)

    def loss(self, views: list[Tensor], targets: Targets) -> Tensor:
        """InfoNCE of the first view's queries."""
        return self.contrast(F.normalize(self.embed_student(views[0]), dim=1), targets['keys'])

    def contrast(self, queries: Tensor, keys: Tensor) -> Tensor:
        """InfoNCE of unit ``queries`` ``(N, D)`` for their ``keys`` ``(N, D)`` against the queue; softer for a subnet."""
        share = self.soft_targets if self.backbone.arch != self.backbone.space.max else 0.
        if share == 0:
            return self.info_nce(queries, keys)
        soft = self.soft_head.loss(*self.relations(queries, keys))
        return soft if share == 1 else torch.lerp(self.info_nce(queries, keys), soft, share)

    def info_nce(self, queries: Tensor, keys: Tensor) -> Tensor:
        """InfoNCE (Eq. 1) of unit ``queries`` ``(N, D)`` for their ``keys`` ``(N, D)`` against the queue."""
        positives = torch.einsum('nd,nd->n', queries, keys)[:, None]
        negatives = torch.einsum('nd,dk->nk', queries, self.queue)
        return self.tell_apart(positives, negatives)

    def relations(self, queries: Tensor, keys: Tensor) -> list[Tensor]:
        """Cosines of unit ``queries`` and ``keys`` ``(N, D)`` with the queue, each ``(N, queue_len)``.

        In float32 under autocast, too: a cosine of bfloat16 has steps of 0.004, a tenth of the teacher's temperature.
        """
        with torch.autocast(queries.device.type, enabled=False):
            return [torch.einsum('nd,dk->nk', features.float(), self.queue) for features in (queries, keys)]

    def tell_apart(self, positives: Tensor, negatives: Tensor) -> Tensor:
        """The head's loss of cosines ``(N, 1)`` and ``(N, K)``; what it makes for that, it makes on their device."""
        with positives.device:
            return self.head.loss(positives, negatives)

    def finish_step(self, targets: Targets) -> None:
        """The step's keys enter the queue."""
        enqueue(self.queue, self.queue_ptr, targets['all_keys'])
