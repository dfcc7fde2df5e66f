"""The queue of keys that MoCo, ReSSL and DenseCL compare with."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gaia_ssl.errors import UserError


def add_queue(module: nn.Module, name: str, feat_dim: int, length: int) -> None:
    """Give ``module`` the buffers ``NAME`` ``(feat_dim, length)`` of random unit keys and ``NAME_ptr``, where the next goes.

    Raises:
        UserError: If the queue would hold nothing.
    """
    if length < 1:
        raise UserError(f'queue_len is {length}; the queue holds at least one key')
    module.register_buffer(name, F.normalize(torch.randn(feat_dim, length), dim=0))
    module.register_buffer(f'{name}_ptr', torch.zeros(1, dtype=torch.long))


@torch.no_grad()
def enqueue(queue: Tensor, pointer: Tensor, keys: Tensor) -> None:
    """``keys`` ``(N, feat_dim)`` of any number take the places of the oldest ones; the pointer wraps around."""
    length = queue.size(1)
    keys = keys[-length:]
    places = (pointer + torch.arange(len(keys), device=keys.device)) % length
    queue[:, places] = keys.T.to(queue.dtype)
    pointer[0] = (pointer[0] + len(keys)) % length
