"""The sandwich step under DistributedDataParallel."""

from __future__ import annotations

from typing import Any

from mmengine.dist import broadcast
from mmengine.model import MMDistributedDataParallel
from mmengine.optim import OptimWrapper
from torch import Tensor, nn

from gaia_ssl.registry import MODEL_WRAPPERS


@MODEL_WRAPPERS.register_module()
class SandwichDistributedDataParallel(MMDistributedDataParallel):
    """Name it in a config: ``model_wrapper_cfg = dict(type='gaia_ssl.SandwichDistributedDataParallel')``.

    Gradients are synchronised with the last backward of a sandwich, whose arch touches every parameter; so
    ``find_unused_parameters`` is not needed. Buffers start as those of the first process; from then on they are kept
    equal by what is put in them (the queue), or are each process's own (batch norm), so no forward broadcasts them.
    """

    def __init__(self, module: nn.Module, device_ids: list[int] | None = None, **kwargs: Any) -> None:
        on_cpu = next(module.parameters()).device.type == 'cpu'  # where DDP takes no device_ids, but mmengine gives them
        kwargs.setdefault('broadcast_buffers', False)
        super().__init__(module, device_ids=None if on_cpu else device_ids, **kwargs)
        for buffer in module.buffers():  # which DDP, told not to broadcast them with each forward, leaves unequal here too
            broadcast(buffer)

    def train_step(self, data: Any, optim_wrapper: OptimWrapper) -> dict[str, Tensor]:
        return self.module.sandwich_step(data, optim_wrapper, self)
