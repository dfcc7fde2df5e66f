"""DenseCL on the supernet."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from gaia_ssl.errors import UserError
from gaia_ssl.models.algorithms.moco import SupernetMoCo
from gaia_ssl.models.algorithms.queue import add_queue, enqueue
from gaia_ssl.models.algorithms.supernet import Targets
from gaia_ssl.registry import MODELS


@MODELS.register_module()
class SupernetDenseCL(SupernetMoCo):
    """DenseCL (https://arxiv.org/abs/2011.09157): MoCo v2 of whole images, and of each position with its match.

    A position of the student's map matches the teacher's position of highest cosine between their **dense embeddings**,
    as many channels on both sides whatever the arch. (The original matches by backbone features, whose channels differ
    as soon as the student is narrower than the teacher; its ablation has dense embeddings nearly as good.) The positive
    is thus the largest of a position's cosines.

    Args:
        queue_len: Of each of the two queues: ``queue`` of images, ``queue2`` of the dense embeddings' means.
        loss_lambda: The dense loss's share. mmpretrain's ``DenseCLHook`` can hold it at 0 for the first iterations.
        **kwargs: As in :class:`SupernetMoCo`; the neck is mmpretrain's ``DenseCLNeck``.
    """

    def __init__(self, *args: Any, queue_len: int = 65536, feat_dim: int = 128, loss_lambda: float = 0.5,
                 **kwargs: Any) -> None:
        super().__init__(*args, queue_len=queue_len, feat_dim=feat_dim, **kwargs)
        if not 0 <= loss_lambda <= 1:
            raise UserError(f"loss_lambda is {loss_lambda}; it is the dense loss's share, in [0, 1]")
        add_queue(self, 'queue2', feat_dim, queue_len)
        self.loss_lambda = loss_lambda

    @torch.no_grad()
    def teach(self, views: list[Tensor]) -> Targets:
        """Of the second view: ``keys`` ``(N, D)`` and ``dense_keys`` ``(N, D, S * S)`` of this process's images, ``all_keys``
        and ``all_dense_means`` ``(W * N, D)`` of all processes'."""
        self.check_views(views)
        joint = self.shuffle_bn(self._embed_teacher_densely, views[1]).float()
        images, positions = joint[..., 0], joint[..., 1:]
        all_keys = F.normalize(images, dim=1)
        return dict(keys=self.shuffle_bn.own(all_keys),
                    dense_keys=self.shuffle_bn.own(F.normalize(positions, dim=1)),
                    all_keys=all_keys,
                    all_dense_means=F.normalize(positions.mean(dim=2), dim=1))

    def loss(self, views: list[Tensor], targets: Targets) -> Tensor:
        """``(1 - loss_lambda)`` of MoCo's loss and ``loss_lambda`` of that of the N * S * S positions."""
        image, positions, _ = self.neck(self.backbone(views[0]))
        queries, dense_queries = F.normalize(image, dim=1), F.normalize(positions, dim=1)
        loss = self.contrast(queries, targets['keys'])
        matched = torch.einsum('nds,ndt->nst', dense_queries, targets['dense_keys']).amax(dim=2)
        negatives = torch.einsum('nds,dk->nsk', dense_queries, self.queue2)
        dense_loss = self.tell_apart(matched.reshape(-1, 1), negatives.flatten(0, 1))
        return (1 - self.loss_lambda) * loss + self.loss_lambda * dense_loss

    def finish_step(self, targets: Targets) -> None:
        """The step's keys enter both queues."""
        super().finish_step(targets)
        enqueue(self.queue2, self.queue2_ptr, targets['all_dense_means'])

    def _embed_teacher_densely(self, images: Tensor) -> Tensor:
        """``(N, D, 1 + S * S)``: the image's embedding, then each position's."""
        image, positions, _ = self.teacher['neck'](self.teacher['backbone'](images))
        return torch.cat([image[..., None], positions], dim=2)
