"""BYOL on the supernet."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from gaia_ssl.models.algorithms.supernet import Supernet, Targets
from gaia_ssl.registry import MODELS


@MODELS.register_module()
class SupernetBYOL(Supernet):
    """BYOL (https://arxiv.org/abs/2006.07733): each arch predicts the teacher's embedding of the other view, both ways.

    The head is mmpretrain's ``LatentPredictHead``, whose predictor the student alone has. The teacher's momentum rises on
    a cosine to 1.

    Args:
        teacher_momentum, final_teacher_momentum: As in :class:`Supernet`, with BYOL's defaults.
        **kwargs: As in :class:`Supernet`.
    """

    def __init__(self, *args: Any, teacher_momentum: float = 0.99, final_teacher_momentum: float = 1., **kwargs: Any) -> None:
        super().__init__(*args, teacher_momentum=teacher_momentum, final_teacher_momentum=final_teacher_momentum, **kwargs)

    @torch.no_grad()
    def teach(self, views: list[Tensor]) -> Targets:
        """Embeddings ``first`` and ``second`` ``(N, D)`` of the two views."""
        self.check_views(views)
        return dict(first=self.embed_teacher(views[0]), second=self.embed_teacher(views[1]))

    def loss(self, views: list[Tensor], targets: Targets) -> Tensor:
        """The head's loss of the first view's embedding for the teacher's of the second, and the other way round."""
        return (self.head.loss(self.embed_student(views[0]), targets['second'])
                + self.head.loss(self.embed_student(views[1]), targets['first']))
