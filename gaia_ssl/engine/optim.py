"""Mixed precision in bfloat16, on CPUs too, where mmengine's AmpOptimWrapper refuses to work."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from mmengine.optim import OptimWrapper
from torch import nn

from gaia_ssl.registry import OPTIM_WRAPPERS


@OPTIM_WRAPPERS.register_module()
class AutocastOptimWrapper(OptimWrapper):
    """Runs the forward passes in bfloat16 (which needs no loss scaling) on whatever device the model is on.

    On GPUs from the A100 on and on CPUs with AMX, bfloat16 convolutions are several times faster than float32 ones.
    """

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        device = next(model.parameters()).device.type
        with super().optim_context(model), torch.autocast(device, dtype=torch.bfloat16):
            yield
