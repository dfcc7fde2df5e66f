"""NASWOT (Mellor et al. 2021, https://arxiv.org/abs/2006.04647): how differently a network's ReLUs see images."""

from __future__ import annotations

import torch
from torch import Tensor, nn


@torch.no_grad()
def naswot(net: nn.Module, images: Tensor) -> float:
    """``log |det K|`` with ``K_ij`` the number of ReLUs that are on for both, or off for both, of images i and j (Eq. 2).

    Args:
        net: Its ReLUs are modules; run in the mode that it is in.
        images: ``(N, C, H, W)``.
    """
    kernel = torch.zeros(len(images), len(images), dtype=torch.float64, device=images.device)

    def count(_module: nn.Module, _inputs: tuple, out: Tensor) -> None:
        on = (out > 0).flatten(1).float()
        kernel.add_(on @ on.T + (1 - on) @ (1 - on).T)

    hooks = [module.register_forward_hook(count) for module in net.modules() if isinstance(module, nn.ReLU)]
    net(images)
    for hook in hooks:
        hook.remove()
    return float(torch.linalg.slogdet(kernel).logabsdet)
