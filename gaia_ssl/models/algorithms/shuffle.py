"""Shuffle-BN: keep the teacher's batch statistics apart from the student's (MoCo, section 3.3)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from mmengine.dist import all_gather, get_rank, get_world_size
from torch import Tensor, distributed, nn

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
        encoded = all_gather(encode(_exchange(images, get_rank(), world)))
        return torch.stack(encoded, dim=1).flatten(0, 1)

    @staticmethod
    def own(joint: Tensor) -> Tensor:
        """This process's part of what :meth:`__call__` returned."""
        return joint.chunk(get_world_size())[get_rank()]


def _exchange(images: Tensor, rank: int, world: int) -> Tensor:
    """Every ``world``-th image of the joint batch, beginning with the ``rank``-th: as many as the ``(N, …)`` of this process.

    They travel in plain layout, as not every back end heeds strides, and come out channels-last.
    """
    def taken(by: int, of: int) -> slice:
        return slice((by - of * len(images)) % world, None, world)

    parts = [images[taken(other, rank)] for other in range(world)]
    received = torch.empty(images.shape, dtype=images.dtype, device=images.device)
    distributed.all_to_all_single(
        received, torch.cat(parts).contiguous(), input_split_sizes=list(map(len, parts)),
        output_split_sizes=[len(range(len(images))[taken(rank, other)]) for other in range(world)])
    return received.contiguous(memory_format=torch.channels_last) if images.dim() == 4 else received
