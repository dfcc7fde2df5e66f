"""A supernet to score with."""

from __future__ import annotations

import copy

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from gaia_ssl.models.algorithms import Supernet
from gaia_ssl.models.dynamic import DynamicConv2d


def scoring_copy(model: Supernet, dtype: torch.dtype = torch.float32) -> Supernet:
    """New modules on the parameters of ``model``, whose batch norms use the batch at hand and keep nothing of it.

    Each thread that sets archs needs modules of its own; what it only reads is shared, also between copies of a copy.

    Args:
        model: Stays as it is. Its weights must not change while the copy is in use.
        dtype: Weights of convolutions and linear layers are cast to it; batch norm's stay in float32, as under autocast.
    """
    shared = [*model.parameters(), *model.buffers(),
              *(module.kept_slices for module in model.modules() if isinstance(module, DynamicConv2d))]
    copied = copy.deepcopy(model, {id(each): each for each in shared if each is not None}).eval()
    for module in copied.modules():
        if isinstance(module, _BatchNorm):  # without running statistics, the batch's are used in eval mode too
            module.running_mean = module.running_var = None
        elif isinstance(module, nn.Conv2d | nn.Linear):
            for name, parameter in module.named_parameters(recurse=False):
                setattr(module, name, nn.Parameter(parameter.detach().to(dtype), requires_grad=False))
        if isinstance(module, DynamicConv2d) and module.kept_slices is None:
            module.kept_slices = {}
    return copied
