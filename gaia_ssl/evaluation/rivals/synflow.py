"""SynFlow (Tanaka et al. 2020, https://arxiv.org/abs/2006.05467), as a score of networks (Abdelfattah et al. 2021)."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm


def synflow(net: nn.Module, shape: Sequence[int]) -> float:
    """``log sum |theta * dR/dtheta|`` of the weights' absolute values and an image of ones.

    ``R`` is the sum of the last feature map. Batch norm is left out, as Abdelfattah et al. (https://arxiv.org/abs/2101.08134)
    do; in float64, for ``R`` grows exponentially with depth.

    Args:
        net: Takes ``(N, C, H, W)`` and puts out feature maps; it stays as it is.
        shape: Of an image, ``(C, H, W)``.
    """
    net = copy.deepcopy(net).double()
    for module in list(net.modules()):
        for name, child in module.named_children():
            if isinstance(child, _BatchNorm):
                setattr(module, name, nn.Identity())
    weights = list(net.parameters())
    for weight in weights:
        weight.data.abs_()
    ones = torch.ones(1, *shape, dtype=torch.float64, device=weights[0].device)
    gradients = torch.autograd.grad(net(ones)[-1].sum(), weights)
    return math.log(sum(float((weight * gradient).abs().sum()) for weight, gradient in zip(weights, gradients, strict=True)))
