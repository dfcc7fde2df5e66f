"""Batch norm by the statistics of the batch at hand, without leaving a trace."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm


@contextmanager
def batch_statistics(module: nn.Module) -> Iterator[None]:
    """Inside, every batch norm of ``module`` normalises by its batch and updates nothing; then all is as before.

    The module is in eval mode inside. A batch norm without running statistics uses the batch's, also in eval mode.
    """
    was_training = {child: child.training for child in module.modules()}
    norms = [child for child in module.modules() if isinstance(child, _BatchNorm)]
    kept = [(norm.running_mean, norm.running_var) for norm in norms]
    module.eval()
    for norm in norms:
        norm.running_mean = norm.running_var = None
    try:
        yield
    finally:
        for norm, (mean, var) in zip(norms, kept, strict=True):
            norm.running_mean, norm.running_var = mean, var
        for child, training in was_training.items():
            child.training = training
