"""Batch norm statistics of one network on given images."""

from collections.abc import Iterator
from typing import Protocol

from fvcore.nn.precise_bn import update_bn_stats
from torch import Tensor, nn

from gaia_ssl.errors import UserError
from gaia_ssl.precision import full_float32


class Batches(Protocol):
    """Of images, ``(N, 3, H, W)`` each; may be gone through several times."""

    def __len__(self) -> int:
        ...

    def __iter__(self) -> Iterator[Tensor]:
        ...


@full_float32()
def calibrate_bn(module: nn.Module, batches: Batches) -> None:
    """Set every running mean and variance to the pooled ones over all of ``batches``; the module ends in eval mode.

    Batches are weighted by their size, and the variance between their means is included. While calibrating, each layer
    normalises by the statistics of the batch at hand.

    Args:
        module: Takes a batch ``(N, 3, H, W)``.
        batches: Iterable of such batches.

    Raises:
        UserError: If a layer has but one value a channel to average.
    """
    for child in module.modules():  # not module.train(), which leaves frozen stages in eval mode
        child.training = True
    try:
        update_bn_stats(module, batches, num_iters=len(batches))
    except ValueError as error:
        if 'more than 1 value per channel' not in str(error):
            raise
        raise UserError('batch norm cannot be calibrated on batches of a single image this small; give a larger '
                        '--batch-size (and more images, if there is but one), or a higher --resolution') from error
    for child in module.modules():
        if isinstance(variance := getattr(child, 'running_var', None), Tensor):
            variance.clamp_(min=0)  # rounding may take that of a constant channel below zero
    module.eval()
