"""MoCo v2 on the supernet."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from gaia_ssl.models.algorithms.queue import add_queue, enqueue
from gaia_ssl.models.algorithms.shuffle import ShuffleBN
from gaia_ssl.models.algorithms.supernet import Supernet, Targets
from gaia_ssl.registry import MODELS


@MODELS.register_module()
class SupernetMoCo(Supernet):
    """MoCo v2 (https://arxiv.org/abs/2003.04297): InfoNCE (Eq. 1) of each arch against the same keys and the same queue.

    Args:
        queue_len: Keys kept as negatives; any number, whatever the batch size.
        feat_dim: Length of an embedding, as the neck puts it out.
        bn_splits: On one process, into how many parts the teacher's batch norm splits the batch, so that a key cannot be
            told by the statistics that it shares with its query. Across processes, keys are shuffled instead.
        **kwargs: As in :class:`Supernet`.
    """

    def __init__(self, *args: Any, queue_len: int = 65536, feat_dim: int = 128, bn_splits: int = 4, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
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
        """InfoNCE of unit ``queries`` ``(N, D)`` for their ``keys`` ``(N, D)`` against the queue."""
        positives = torch.einsum('nd,nd->n', queries, keys)[:, None]
        negatives = torch.einsum('nd,dk->nk', queries, self.queue)
        return self.tell_apart(positives, negatives)

    def tell_apart(self, positives: Tensor, negatives: Tensor) -> Tensor:
        """The head's loss of cosines ``(N, 1)`` and ``(N, K)``; what it makes for that, it makes on their device."""
        with positives.device:
            return self.head.loss(positives, negatives)

    def finish_step(self, targets: Targets) -> None:
        """The step's keys enter the queue."""
        enqueue(self.queue, self.queue_ptr, targets['all_keys'])
