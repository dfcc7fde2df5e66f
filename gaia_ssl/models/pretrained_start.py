"""A supernet that begins as a pretrained network."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gaia_ssl.errors import UserError
from gaia_ssl.models.channel_order import sort_channels
from gaia_ssl.models.pretrained_checkpoint import PretrainedResNet
from gaia_ssl.space import Arch


def check_start(pretrained: PretrainedResNet, largest: Arch, stem_kernel: int) -> None:
    """Raise a UserError unless a supernet of max arch ``largest`` can start from ``pretrained``."""
    if not pretrained.arch.fits_in(largest):
        raise UserError(f'{pretrained.path}: its arch {pretrained.arch} is larger than the supernet ({largest}) in some '
                        f'dimension; say --cfg-options model.backbone.space={pretrained.arch} for a space inside it')
    if (kernel := pretrained.stem_kernel) != stem_kernel:
        raise UserError(f'{pretrained.path}: its first convolution is {kernel}x{kernel}, that of the config '
                        f'{stem_kernel}x{stem_kernel}; say --cfg-options model.backbone.stem_kernel={kernel}')


@torch.no_grad()
def start_from(backbone: nn.Module, pretrained: PretrainedResNet, sort: bool = True) -> None:
    """Put a pretrained network into a supernet's backbone, in place.

    At the pretrained arch the supernet then computes that network's features, and so it does at any larger arch, whose further
    channels and blocks it starts to use as it learns: what consumes a new channel begins with zero weights; a new block, and
    a block's share in a new channel of the residual stream, with a batch norm of weight zero. All else that is new keeps the
    values that it has.

    Images of another number of channels: see :func:`for_channels`.

    Args:
        backbone: A ResNet of bottlenecks with torchvision's key names, initialised at random.
        pretrained: Not larger in any dimension.
        sort: Put the channels in the order of :func:`sort_channels`, so that narrow subnets get the important ones.
    """
    source = dict(sort_channels(pretrained.state_dict, pretrained.arch) if sort else pretrained.state_dict)
    source['conv1.weight'] = for_channels(source['conv1.weight'], backbone.conv1.in_channels)
    for name, value in backbone.state_dict().items():  # the tensors themselves, no copies
        known = source.get(name)
        if name.endswith('bn3.weight'):
            value.zero_()
        if known is not None:
            _put(value, known)


def for_channels(weight: Tensor, channels: int) -> Tensor:
    """The first convolution's weight ``(stem, C, k, k)`` for images of another number of channels.

    For one channel its inputs are summed: on a grey image it computes what it did on three equal channels. Otherwise they are
    repeated in turn, in proportion to keep the scale of what it puts out, and what each comes to mean is to be learnt.
    """
    known = weight.size(1)
    if channels == known:
        return weight
    if channels == 1:
        return weight.sum(1, keepdim=True)
    return weight[:, torch.arange(channels) % known] * (known / channels)


def _put(value: Tensor, known: Tensor) -> None:
    """``known`` into the leading part of ``value``; of a convolution, its outputs take nothing from further inputs."""
    if value.dim() == 4:
        value[:known.size(0)] = 0
    value[tuple(map(slice, known.shape))] = known
