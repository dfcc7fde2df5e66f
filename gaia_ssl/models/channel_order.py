"""A ResNet's channels in the order of their importance, its function unchanged."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from torch import Tensor

from gaia_ssl.space import Arch


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
    """How much the convolutions that take in each channel of a group weigh it, ``(C,)``: their summed absolute weights."""
    if not group.consumers:
        return sum(state[f'{norm}.weight'].abs() for _, norm in group.producers)
    return sum(state[f'{conv}.weight'].abs().sum((0, 2, 3)) for conv, _ in group.consumers)
