"""Batch norm of which a subnet uses the leading channels.

A supernet's running statistics mix all subnets and mean nothing for one of them: training and search use the batch's
own statistics, and export recalibrates.
"""

import torch
from mmengine.dist import get_world_size
from torch import Tensor, distributed, nn
from torch.distributed.nn.functional import all_reduce
from torch.nn import functional as F
from torch.nn.modules._functions import SyncBatchNorm as sync_batch_norm
from torch.nn.modules.batchnorm import _BatchNorm

from gaia_ssl.models.dynamic.slicing import leading
from gaia_ssl.registry import MODELS


class _DynamicBatchNorm:
    """The forward of a batch norm that uses as many leading channels as its input has.

    ``num_batches_tracked`` stays 0: nobody reads it, and on a GPU each count would be an operator of its own.

    Attributes:
        splits: In training, normalise the batch in so many parts, each by its own statistics ("split BN").
    """

    splits = 1

    def forward(self, x: Tensor) -> Tensor:
        self._check_input_dim(x)
        splits = min(self.splits, x.size(0)) if self.training else 1
        if splits > 1:
            return torch.cat([self._normalise(part) for part in x.tensor_split(splits)])
        return self._normalise(x)

    def _normalise(self, x: Tensor) -> Tensor:
        weight, bias, mean, var = self._leading(x.size(1))
        batch_statistics = self.training or mean is None
        return F.batch_norm(x, mean, var, weight, bias, batch_statistics, self.momentum, self.eps)

    def _leading(self, channels: int) -> list[Tensor | None]:
        tensors = (self.weight, self.bias, self.running_mean, self.running_var)
        return [None if tensor is None else leading(tensor, channels) for tensor in tensors]


@MODELS.register_module()
class DynamicBatchNorm1d(_DynamicBatchNorm, nn.BatchNorm1d):
    """``nn.BatchNorm1d`` on the leading channels of ``(N, c)`` or ``(N, c, L)``."""


@MODELS.register_module()
class DynamicBatchNorm2d(_DynamicBatchNorm, nn.BatchNorm2d):
    """``nn.BatchNorm2d`` on the leading channels of ``(N, c, H, W)``."""


@MODELS.register_module()
class DynamicSyncBatchNorm(_DynamicBatchNorm, _BatchNorm):
    """Synchronised batch norm on the leading channels, on any device (``nn.SyncBatchNorm`` refuses the CPU).

    In training with several processes, mean and variance are those of all processes' samples, weighted by their
    number; otherwise it is ordinary batch norm. On CUDA torch's own function does it, which keeps nothing but its input for
    the backward pass. It is no ``nn.SyncBatchNorm``, which mmengine would replace by a static
    batch norm in a run of one process.
    """

    def _check_input_dim(self, x: Tensor) -> None:
        if x.dim() < 2:
            raise ValueError(f'expected (N, C, …), got {tuple(x.shape)}')

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or get_world_size() == 1:
            return super().forward(x)
        self._check_input_dim(x)
        weight, bias, running_mean, running_var = self._leading(x.size(1))
        if x.is_cuda:
            return sync_batch_norm.apply(x, weight, bias, running_mean, running_var, self.eps, self.momentum,
                                         distributed.group.WORLD, get_world_size())
        dims = [dim for dim in range(x.dim()) if dim != 1]
        shape = [1, -1] + [1] * (x.dim() - 2)
        values = x.float()
        count = torch.full((1, ), values.numel() / values.size(1), device=x.device)
        total = all_reduce(torch.cat([values.sum(dims), count]))
        mean, count = total[:-1] / total[-1], total[-1]
        # A second pass for the variance: E[x^2] - E[x]^2 would cancel.
        var = all_reduce((values - mean.view(shape)).square().sum(dims)) / count
        if running_mean is not None:
            with torch.no_grad():
                running_mean.lerp_(mean, self.momentum)
                running_var.lerp_(var * count / (count - 1), self.momentum)
        scale = weight * torch.rsqrt(var + self.eps)
        return ((values - mean.view(shape)) * scale.view(shape) + bias.view(shape)).to(x.dtype)
