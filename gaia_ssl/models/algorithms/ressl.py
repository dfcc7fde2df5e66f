"""ReSSL on the supernet."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

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

    def loss(self, views: list[Tensor], targets: Targets) -> Tensor:
        """The head's loss of the student's relations to the queue ``(N, queue_len)`` for the teacher's.

        In float32 under autocast, too: a cosine of bfloat16 has steps of 0.004, a tenth of the teacher's temperature.
        """
        embeddings = self.embed_student(views[0])
        with torch.autocast(embeddings.device.type, enabled=False):
            queries = F.normalize(embeddings.float(), dim=1)
            relations = [torch.einsum('nd,dk->nk', features, self.queue) for features in (queries, targets['keys'])]
            return self.head.loss(*relations)
