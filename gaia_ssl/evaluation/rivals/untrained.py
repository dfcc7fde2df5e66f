"""The network of an arch as a training from scratch would begin."""

from __future__ import annotations

import torch
from torch import nn

from gaia_ssl.models import SubnetResNet
from gaia_ssl.space import Arch


def untrained(arch: Arch, stem_kernel: int, seed: int, in_channels: int = 3) -> SubnetResNet:
    """In training mode, with Kaiming's weights; its residual branches are not zeroed, or all depths were alike."""
    generator = torch.Generator().manual_seed(seed)
    net = SubnetResNet(arch, stem_kernel=stem_kernel, in_channels=in_channels, zero_init_residual=False)
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, generator=generator)
    return net.train()
