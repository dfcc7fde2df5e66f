"""Stochastic depth of a residual branch."""

import torch
from torch import Tensor


class DropPath:
    """Leaves the branch out for some images, and scales it up for the others (https://arxiv.org/abs/1603.09382).

    Args:
        rate: The share of images that it is left out for.
        generator: On the branch's device; its seed decides for which.
    """

    def __init__(self, rate: float, generator: torch.Generator) -> None:
        self.rate, self.generator = rate, generator

    def __call__(self, branch: Tensor) -> Tensor:
        kept = torch.rand(len(branch), 1, 1, 1, generator=self.generator, device=branch.device) >= self.rate
        return branch * (kept / (1 - self.rate)).to(branch.dtype)
