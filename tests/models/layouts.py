"""Small ResNets of other libraries, and checkpoints of them as people have."""

from __future__ import annotations

import argparse
import pathlib
from collections.abc import Callable

import mmpretrain.models
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

State = dict[str, Tensor]

ARCH = '8-8x3-16x4-32x6-64x3'
"""Of :func:`resnet`."""


def resnet(seed: int = 0) -> nn.Module:
    """mmpretrain's ResNet-50 with an eighth of the channels, putting out C2 to C5."""
    torch.manual_seed(seed)
    return randomise(mmpretrain.models.ResNet(50, stem_channels=8, base_channels=8, out_indices=(0, 1, 2, 3)))


def randomise(net: nn.Module) -> nn.Module:
    """Batch norms as a trained network has them; in eval mode."""
    with torch.no_grad():
        for module in net.modules():
            if isinstance(module, _BatchNorm):
                module.running_mean.normal_(0, 0.3)
                module.running_var.uniform_(0.5, 1.5)
                module.weight.uniform_(0.2, 1.2)
                module.bias.normal_(0, 0.3)
    net.eval()  # mmpretrain's gives nothing back
    return net


def prefixed(prefix: str, state: State) -> State:
    return {f'{prefix}{name}': value for name, value in state.items()}


def head(prefix: str) -> State:
    return {f'{prefix}.0.weight': torch.ones(4, 4), f'{prefix}.0.bias': torch.ones(4)}


def sequential(state: State) -> State:
    """As ``nn.Sequential(*children)`` names it."""
    children = dict(conv1=0, bn1=1, layer1=4, layer2=5, layer3=6, layer4=7)
    return {'.'.join((str(children[name.split('.')[0]]), *name.split('.')[1:])): value for name, value in state.items()}


def detectron(state: State) -> State:
    """As detectron2 does."""
    def rename(name: str) -> str:
        first, *rest = name.split('.')
        if first in ('conv1', 'bn1'):
            return '.'.join(('stem.conv1', *(['norm'] if first == 'bn1' else []), *rest))
        block, unit, *last = rest
        if unit == 'downsample':
            unit, last = 'shortcut', (['norm'] if last[0] == '1' else []) + last[1:]
        elif unit.startswith('bn'):
            unit, last = f'conv{unit[2]}', ['norm', *last]
        return '.'.join((f'res{int(first[5]) + 1}', block, unit, *last))

    return {rename(name): value for name, value in state.items() if not name.endswith('num_batches_tracked')}


LAYOUTS: dict[str, Callable[[State, State], dict]] = dict(
    torchvision=lambda net, other: {**net, 'fc.weight': torch.ones(4, 256), 'fc.bias': torch.ones(4)},
    timm_ema=lambda net, other: dict(state_dict={**net, **head('fc')}, state_dict_ema=other, args=argparse.Namespace(lr=0.1)),
    mmdet=lambda net, other: dict(meta=dict(config='import os'), state_dict={**prefixed('backbone.', net), **head('neck')}),
    moco=lambda net, other: dict(epoch=1, state_dict=dict(
        **prefixed('module.encoder_q.', net), **head('module.encoder_q.fc'), **prefixed('module.encoder_k.', other),
        **{'module.queue': torch.ones(4, 8)}), optimizer=dict(state={0: dict(momentum_buffer=torch.ones(3))})),
    mocov3=lambda net, other: dict(state_dict=dict(
        **prefixed('module.momentum_encoder.', other), **prefixed('module.base_encoder.', net), **head('module.predictor'))),
    densecl=lambda net, other: dict(state_dict=dict(
        **prefixed('encoder_q.0.', net), **head('encoder_q.1'), **prefixed('encoder_k.0.', other))),
    paper=lambda net, other: dict(state_dict=dict(
        **prefixed('encoder_q.0.', net), **prefixed('backbone.', net), **prefixed('encoder_k.0.', other))),
    dino=lambda net, other: dict(
        student=prefixed('module.backbone.', other), teacher={**prefixed('backbone.', net), **head('head')},
        args=argparse.Namespace(arch='resnet50')),
    swav=lambda net, other: dict(**prefixed('module.', net), **head('module.projection_head'), **head('module.prototypes')),
    byol=lambda net, other: dict(state_dict=dict(
        **prefixed('online_encoder.net.', net), **prefixed('target_encoder.net.', other), **head('online_predictor'))),
    vicreg=lambda net, other: dict(model={**prefixed('module.backbone.', net), **head('module.projector')}),
    solo=lambda net, other: dict(state_dict={**prefixed('backbone.', net), **prefixed('momentum_backbone.', other)}),
    lightly=lambda net, other: dict(state_dict={**prefixed('backbone.', sequential(net)),
                                                **prefixed('backbone_momentum.', sequential(other))}),
    detectron2=lambda net, other: dict(model=prefixed('backbone.bottom_up.', detectron(net))),
)
"""What makes a checkpoint of a network's state dict, and of another one's beside it."""


def save(checkpoint: dict, path: pathlib.Path) -> str:
    torch.save(checkpoint, path)
    return str(path)
