"""Shuffle-BN: keep the teacher's batch statistics apart from the student's (MoCo, section 3.3)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from mmengine.dist import all_gather, get_rank, get_world_size
from torch import Tensor, nn

from gaia_ssl.errors import UserError


class ShuffleBN:
    """Encodes images among others than those that the student sees them with.

    Across W processes, process r encodes every W-th image of the joint batch, beginning with the r-th: of the images
    that share its statistics, only one in W shares the student's. On one process, the batch norms split the batch
    instead. The batch's own order is random already, so no further random numbers are needed.

    Args:
        module: The teacher, whose batch norms are split on one process.
        splits: Into how many parts; 1 is none.
    """

    def __init__(self, module: nn.Module, splits: int) -> None:
        if splits < 1:
            raise UserError(f'bn_splits is {splits}; use 1 for no split, or more')
        self._norms = [child for child in module.modules() if hasattr(child, 'splits')]
        self._splits = splits

    def __call__(self, encode: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
        """Encode this process's ``(N, …)`` images; returns the joint batch's ``(W * N, D)`` on every process, in order."""
        world = get_world_size()
        for norm in self._norms:
            norm.splits = self._splits if world == 1 else 1
        if world == 1:
            return encode(images)
        joint = torch.cat(all_gather(images))
        encoded = all_gather(encode(joint[get_rank()::world].contiguous()))
        return torch.stack(encoded, dim=1).flatten(0, 1)

    @staticmethod
    def own(joint: Tensor) -> Tensor:
        """This process's part of what :meth:`__call__` returned."""
        return joint.chunk(get_world_size())[get_rank()]
