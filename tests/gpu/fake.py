"""A GPU without one: torch's fake tensors on ``cuda``, which know shapes, types and devices, and refuse to be mixed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

import numpy as np
import torch
from torch import Tensor, nn
from torch._subclasses import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

aten = torch.ops.aten


class Operators(TorchDispatchMode):
    """Counts the operators that are launched, and those for which the host waits for the device.

    Attributes:
        launched: How often each operator ran.
        waits: How often each operator brought values from the device to the host.
        uploads: How many copies from the host to the device it waited for.
        dtypes: What each operator put out last.
    """

    def __init__(self) -> None:
        super().__init__()
        self.launched: Counter[str] = Counter()
        self.waits: Counter[str] = Counter()
        self.uploads = 0
        self.dtypes: dict[str, torch.dtype] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        kwargs = kwargs or {}
        name = func.overloadpacket.__name__
        if name in ('device', 'detach'):  # which do nothing on the device
            return func(*args, **kwargs)
        self.launched[name] += 1
        self._count_copies(name, args, kwargs)
        if name == '_local_scalar_dense':  # a fake tensor has no value
            return 1.0 if args[0].is_floating_point() else 1
        result = func(*args, **kwargs)
        first = result[0] if isinstance(result, tuple | list) and result else result
        if isinstance(first, Tensor):
            self.dtypes[name] = first.dtype
        return result

    def _count_copies(self, name: str, args: tuple, kwargs: dict) -> None:
        devices = [each.device.type for each in args if isinstance(each, Tensor)]  # not is_cuda, which asks C++
        if name == 'copy_':
            devices = devices[::-1]
        elif name == '_to_copy' and kwargs.get('device') is not None:
            devices.append(torch.device(kwargs['device']).type)
        if name in ('_local_scalar_dense', 'nonzero', 'masked_select', '_unique2') and devices == ['cuda']:
            devices.append('cpu')
        if name in ('_local_scalar_dense', 'nonzero', 'masked_select', '_unique2', 'copy_', '_to_copy'):
            self.waits[name] += devices == ['cuda', 'cpu']
            self.uploads += devices == ['cpu', 'cuda'] and not kwargs.get('non_blocking')

    @property
    def total(self) -> int:
        """Operators in all."""
        return self.launched.total()


@contextmanager
def fake_cuda(backward: bool = False) -> Iterator[None]:
    """In here ``device='cuda'`` makes fake tensors, and whoever asks whether there is a GPU hears yes where he must.

    Args:
        backward: Let backward passes run, which autograd's engine would do in the queue of a GPU. There is then no autocast.
    """
    patches = {
        'torch.cuda.amp.common.amp_definitely_not_available': lambda: False,
        'torch.cuda.is_bf16_supported': lambda *_, **__: True,
        'mmengine.runner.amp.get_device': lambda: 'cuda',
        'mmengine.optim.optimizer.amp_optimizer_wrapper.is_cuda_available': lambda: True,
        'torch.cuda.get_rng_state': lambda *_: torch.empty(16, dtype=torch.uint8),
        'torch.cuda.set_rng_state': lambda *_: None,
        'torch.Tensor.__deepcopy__': _clone,
        'torch.Tensor.pin_memory': lambda tensor: tensor,
        'torch.nn.Module.to': _moved,
        'torch.Tensor.numpy': lambda tensor: np.zeros(tensor.shape, np.float32),
    }
    if backward:
        patches['torch._subclasses.FakeTensorMode.__torch_dispatch__'] = _dispatch
    with ExitStack() as stack:
        for name, patch in patches.items():
            stack.enter_context(mock.patch(name, patch))
        stack.enter_context(FakeTensorMode())
        yield


_FAKE_DISPATCH = FakeTensorMode.__torch_dispatch__


def _dispatch(mode: FakeTensorMode, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
    """As torch's, but to C++, where autograd's engine looks for a device's queue, a fake tensor is on ``meta``.

    What C++ then wants to make there, it wants beside that tensor.
    """
    if func is torch.ops.prim.device.default:
        return torch.device('meta')
    if kwargs and kwargs.get('device') == torch.device('meta'):
        kwargs = dict(kwargs, device=torch.device('cuda'))
    return _FAKE_DISPATCH(mode, func, types, args, kwargs)


def _clone(tensor: Tensor, memo: dict) -> Tensor:
    """A fake tensor's storage cannot be copied; the tensor can."""
    if id(tensor) not in memo:
        made = tensor.detach().clone()
        memo[id(tensor)] = nn.Parameter(made, tensor.requires_grad) if isinstance(tensor, nn.Parameter) else made
    return memo[id(tensor)]


def _moved(module: nn.Module, device: torch.device) -> nn.Module:
    """As ``module.to``, which would swap what cannot be."""
    for child in module.modules():
        for name, parameter in child.named_parameters(recurse=False):
            child._parameters[name] = nn.Parameter(parameter.detach().to(device), parameter.requires_grad)
        for name, buffer in child.named_buffers(recurse=False):
            child._buffers[name] = buffer.to(device)
    return module


def to_fake(model: nn.Module, dtype: torch.dtype | None = None) -> nn.Module:
    """``model``, from any device, with fake CUDA tensors for its parameters and buffers; inside :func:`fake_cuda`."""
    model._apply(lambda tensor: torch.empty(
        tensor.shape, dtype=dtype if dtype and tensor.is_floating_point() else tensor.dtype, device='cuda'))
    if hasattr(model, '_set_device'):  # mmengine's models tell their preprocessors
        model._set_device(torch.device('cuda'))
    return model
