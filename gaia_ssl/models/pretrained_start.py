"""A supernet that begins as a pretrained network."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gaia_ssl.errors import UserError
from gaia_ssl.models.channel_order import sort_channels
from gaia_ssl.models.pretrained_checkpoint import PretrainedResNet
from gaia_ssl.space import Arch


def check_start(pretrained: PretrainedResNet, largest: Arch, stem_kernel: int, in_channels: int) -> None:
    """Raise a UserError unless a supernet of max arch ``largest`` can start from ``pretrained``."""
    if not pretrained.arch.fits_in(largest):
        raise UserError(f'{pretrained.path}: its arch {pretrained.arch} is larger than the supernet ({largest}) in some '
                        f'dimension; say --cfg-options model.backbone.space={pretrained.arch} for a space inside it')
    if (kernel := pretrained.stem_kernel) != stem_kernel:
        raise UserError(f'{pretrained.path}: its first convolution is {kernel}x{kernel}, that of the config '
                        f'{stem_kernel}x{stem_kernel}; say --cfg-options model.backbone.stem_kernel={kernel}')
    if pretrained.in_channels != in_channels:
        raise UserError(f'{pretrained.path}: takes images of {pretrained.in_channels} channels, the config {in_channels}')


@torch.no_grad()
def start_from(backbone: nn.Module, pretrained: PretrainedResNet, sort: bool = True) -> None:
    """Put a pretrained network into a supernet's backbone, in place.

    At the pretrained arch the supernet then computes that network's features, and so it does at any larger arch, whose further
    channels and blocks it starts to use as it learns: what consumes a new channel begins with zero weights; a new block, and
    a block's share in a new channel of the residual stream, with a batch norm of weight zero. All else that is new keeps the
    values that it has.

    Args:
        backbone: A ResNet of bottlenecks with torchvision's key names, initialised at random.
        pretrained: Not larger in any dimension.
        sort: Put the channels in the order of :func:`sort_channels`, so that narrow subnets get the important ones.
    """
    source = sort_channels(pretrained.state_dict, pretrained.arch) if sort else pretrained.state_dict
    for name, value in backbone.state_dict().items():  # the tensors themselves, no copies
        known = source.get(name)
        if name.endswith('bn3.weight'):
            value.zero_()
        if known is not None:
            _put(value, known)


def _put(value: Tensor, known: Tensor) -> None:
    """``known`` into the leading part of ``value``; of a convolution, its outputs take nothing from further inputs."""
    if value.dim() == 4:
        value[:known.size(0)] = 0
    value[tuple(map(slice, known.shape))] = known
