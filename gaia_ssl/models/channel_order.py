"""A ResNet's channels in the order of their importance, its function unchanged."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator

import torch
from torch import Tensor

from gaia_ssl.space import Arch

_EPSILON = 1e-5  # batch norm's


@dataclasses.dataclass(frozen=True)
class ChannelGroup:
    """Channels that can only be reordered together.

    Attributes:
        producers: Pairs of a convolution and its batch norm that put them out (several add up to one residual stream).
        consumers: Pairs of a convolution that takes them in, and its batch norm.
    """

    producers: tuple[tuple[str, str], ...]
    consumers: tuple[tuple[str, str], ...]


def channel_groups(arch: Arch) -> Iterator[ChannelGroup]:
    """All of them, in the order of computation: the stem; a stage's two inner ones a block; then its residual stream."""
    entering = (('conv1', 'bn1'), )
    inside: tuple[tuple[str, str], ...] = ()
    for stage, depth in enumerate(arch.depths, start=1):
        blocks = [f'layer{stage}.{block}.' for block in range(depth)]
        shortcut = (f'{blocks[0]}downsample.0', f'{blocks[0]}downsample.1')
        yield ChannelGroup(entering, (*inside, (f'{blocks[0]}conv1', f'{blocks[0]}bn1'), shortcut))
        for block in blocks:
            first, second, third = ((f'{block}conv{number}', f'{block}bn{number}') for number in (1, 2, 3))
            yield ChannelGroup((first, ), (second, ))
            yield ChannelGroup((second, ), (third, ))
        entering = (shortcut, *((f'{block}conv3', f'{block}bn3') for block in blocks))
        inside = tuple((f'{block}conv1', f'{block}bn1') for block in blocks[1:])
    yield ChannelGroup(entering, inside)


def reorder(state: dict[str, Tensor], group: ChannelGroup, order: Tensor) -> None:
    """Put the channels of a group into ``order`` ``(C,)``, in place in the dict."""
    for conv, norm in group.producers:
        state[f'{conv}.weight'] = state[f'{conv}.weight'][order]
        for name in ('weight', 'bias', 'running_mean', 'running_var'):
            state[f'{norm}.{name}'] = state[f'{norm}.{name}'][order]
    for conv, _ in group.consumers:
        state[f'{conv}.weight'] = state[f'{conv}.weight'][:, order]


def sort_channels(state: dict[str, Tensor], arch: Arch) -> dict[str, Tensor]:
    """A ResNet's weights with the most important channels first, so that leading slices of it are good subnets.

    Args:
        state: With torchvision's key names; it stays as it is.
        arch: Its arch.
    """
    state = dict(state)
    for group in channel_groups(arch):
        reorder(state, group, importance(state, group).argsort(descending=True, stable=True))
    return state


def importance(state: dict[str, Tensor], group: ChannelGroup) -> Tensor:
    """The variance that each channel of a group brings into what its consumers' batch norms put out, ``(C,)``.

    That is the channel's own, times its squared weights in the consumers and the squares of those norms' scales; channels count
    as independent. The last residual stream of one block has no consumer, and its channels' own variance counts.
    """
    variance = _activation_variance(state, group)
    if not group.consumers:
        return variance
    return variance * sum(_gain(state, conv, norm) for conv, norm in group.consumers)


def _gain(state: dict[str, Tensor], conv: str, norm: str) -> Tensor:
    """How much variance of each input of a convolution arrives behind its batch norm, ``(C,)``."""
    scale = state[f'{norm}.weight'].square() / (state[f'{norm}.running_var'] + _EPSILON)
    return torch.einsum('oihw,o->i', state[f'{conv}.weight'].square(), scale)


def _activation_variance(state: dict[str, Tensor], group: ChannelGroup) -> Tensor:
    """Of ``relu(x)`` with ``x`` a sum of independent Gaussians whose means and deviations are the norms' biases and weights."""
    mean = sum(state[f'{norm}.bias'] for _, norm in group.producers)
    deviation = sum(state[f'{norm}.weight'].square() for _, norm in group.producers).sqrt().clamp_min(_EPSILON)
    ratio = mean / deviation
    positive = torch.special.ndtr(ratio)
    density = torch.exp(-ratio.square() / 2) / math.sqrt(2 * math.pi)
    first = mean * positive + deviation * density
    second = (mean.square() + deviation.square()) * positive + mean * deviation * density
    return (second - first.square()).clamp_min(0)
