"""AZ-NAS (Lee and Ham 2024, https://arxiv.org/abs/2403.19232): several proxies, combined by their ranks."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from scipy.stats import rankdata
from torch import Tensor

from gaia_ssl.models import SubnetResNet

PROXIES = ('expressivity', 'progressivity', 'trainability')
"""Beside complexity, which is FLOPs."""
_BATCH = 64


def az_nas_proxies(net: SubnetResNet, shape: Sequence[int], seed: int) -> dict[str, float]:
    """:data:`PROXIES` of one network, on Gaussian noise (Eq. 2 to 8).

    Args:
        net: Run in the mode that it is in.
        shape: Of an image of noise, ``(C, H, W)``.
        seed: Of the noise, and of the Rademacher vectors of trainability.
    """
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(_BATCH, *shape, generator=generator).to(next(net.parameters()).device)
    maps = [net.stem(noise).detach().requires_grad_()]
    trainability = []
    for block in (block for layer in net.layers for block in layer):
        out = block(maps[-1])
        trainability.append(_trainability(maps[-1], out, generator))
        maps.append(out.detach().requires_grad_())
    entropies = np.array([_entropy(each.detach()) for each in maps])
    return dict(expressivity=float(entropies.sum()), progressivity=float(np.diff(entropies).min()),
                trainability=float(np.mean(trainability)))


def az_nas(proxies: pd.DataFrame) -> np.ndarray:
    """The combined score of each of N networks, ``(N,)``: ``sum log(rank / N)``, the best of a proxy having rank N (Eq. 9).

    Args:
        proxies: A row a network, a column a proxy, complexity among them; more is better.
    """
    return np.log(rankdata(proxies.to_numpy(), axis=0) / len(proxies)).sum(axis=1)


def _entropy(features: Tensor) -> float:
    """Of the shares of the principal components' variances over all positions of ``(N, C, H, W)``."""
    rows = features.movedim(1, -1).flatten(0, -2).double()
    rows = rows - rows.mean(dim=0)
    variances = torch.linalg.eigvalsh(rows.T @ rows / len(rows)).clamp(min=0)
    shares = variances / variances.sum()
    return float(torch.special.entr(shares).sum())


def _trainability(entering: Tensor, leaving: Tensor, generator: torch.Generator) -> float:
    """``2 - s - 1 / s`` with ``s`` the largest singular value of a block's mean Jacobian, as random signs show it.

    A stride folds the positions that one output position is computed from into the channels.
    """
    signs = (torch.randint(0, 2, leaving.shape, generator=generator) * 2 - 1).to(leaving)
    back = torch.autograd.grad(leaving, entering, signs)[0]
    side = leaving.shape[-1]
    stride = math.ceil(back.shape[-1] / side)
    missing = stride * side - back.shape[-1]
    back = F.pixel_unshuffle(F.pad(back, (0, missing, 0, missing)), stride)
    signs, back = (each.movedim(1, -1).flatten(0, -2) for each in (signs, back))
    largest = float(torch.linalg.matrix_norm(back.T @ signs / len(signs), ord=2))
    return 2 - largest - 1 / (largest + 1e-6)
