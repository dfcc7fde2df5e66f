"""ZiCo (Li et al. 2023, https://arxiv.org/abs/2301.11300): how steady gradients are over batches."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def zico(net: nn.Module, batches: list[tuple[Tensor, Tensor]], classes: int, seed: int) -> float:
    """``sum_layers log sum_weights E|g| / sqrt(Var|g|)`` of the cross-entropy's gradients over ``batches`` (Eq. 15).

    The logits are those of a random linear layer on average-pooled C5. Weights whose gradient is the same in every batch
    are left out, as the authors' code does.

    Args:
        net: Takes ``(N, C, H, W)`` and puts out feature maps, C5 last; run in the mode that it is in.
        batches: At least two of images and labels ``(N,)``.
        classes: Number of them.
        seed: Of the linear layer.
    """
    weights = [module.weight for module in net.modules() if isinstance(module, nn.Conv2d)]
    gradients: list[tuple[Tensor, ...]] = []
    for images, labels in batches:
        pooled = net(images)[-1].mean(dim=(2, 3))
        head = torch.randn(classes, pooled.shape[1], generator=torch.Generator().manual_seed(seed)) / pooled.shape[1]**0.5
        head = head.to(pooled.device).requires_grad_()
        gradients.append(torch.autograd.grad(F.cross_entropy(F.linear(pooled, head), labels), [*weights, head]))
    score = 0.0
    for of_layer in zip(*gradients, strict=True):
        size = torch.stack(of_layer).double().abs()
        spread = size.std(dim=0, correction=0)
        steady = (size.mean(dim=0) / spread)[spread > 0].sum()
        if steady > 0:
            score += float(steady.log())
    return score
