"""ReSSL on the supernet."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.nn import functional as F

from gaia_ssl.errors import UserError
from gaia_ssl.models.algorithms.moco import SupernetMoCo
from gaia_ssl.models.algorithms.supernet import Targets
from gaia_ssl.registry import MODELS


@MODELS.register_module()
class SupernetReSSL(SupernetMoCo):
    """ReSSL (https://arxiv.org/abs/2107.09282): how an image relates to those in the queue, the teacher tells each arch.

    The pipeline's first view is the student's (contrastive augmentation), the second the teacher's (weak: crop and flip).
    Keys and queue are MoCo's; the head is :class:`gaia_ssl.models.heads.RelationHead`.

    Args:
        queue_len, feat_dim: As in :class:`SupernetMoCo`, with ReSSL's defaults.
        **kwargs: As in :class:`SupernetMoCo`.
    """

    def __init__(self, *args: Any, queue_len: int = 131072, feat_dim: int = 512, **kwargs: Any) -> None:
        super().__init__(*args, queue_len=queue_len, feat_dim=feat_dim, **kwargs)
        if self.soft_targets:
            raise UserError('soft_targets is for MoCo v2 and DenseCL; the targets of ReSSL are soft for every arch')

    def loss(self, views: list[Tensor], targets: Targets) -> Tensor:
        """The head's loss of the student's relations to the queue ``(N, queue_len)`` for the teacher's."""
        queries = F.normalize(self.embed_student(views[0]).float(), dim=1)
        return self.head.loss(*self.relations(queries, targets['keys']))
