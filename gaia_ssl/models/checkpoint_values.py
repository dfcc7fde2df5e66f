"""What checkpoints of supernets and exported backbones may say of themselves, and hold: checked by whoever reads one."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

import torch
from torch import Tensor

from gaia_ssl.errors import UserError
from gaia_ssl.file_choice import FileChoice
from gaia_ssl.pixel_range import PixelRange
from gaia_ssl.space import Arch
from gaia_ssl.space.cost import RESOLUTIONS
from gaia_ssl.terminal import one_line

LARGE = 1e30
"""Bound of numbers: whole ones of any length would overflow."""
TENSORS_PER_BLOCK = 18
"""Of a bottleneck: three convolutions, and of three batch norms weight, bias, mean, variance and number of batches."""


def is_number(value: object) -> bool:
    """Whether ``value`` is a plain number of a size to compute with."""
    return type(value) in (int, float) and abs(value) < LARGE


def _are_numbers(value: object) -> bool:
    return isinstance(value, list | tuple) and len(value) > 0 and all(map(is_number, value))


def _is_pixel_range(value: object) -> bool:
    try:
        return isinstance(value, dict) and PixelRange.of(value).arguments() == value
    except UserError:
        return False


def is_file_choice(value: object) -> bool:
    """Whether ``value`` is what :meth:`gaia_ssl.file_choice.FileChoice.arguments` gives."""
    try:
        return isinstance(value, dict) and FileChoice.of(value).arguments() == value
    except UserError:
        return False


_RULES: dict[str, tuple[Callable[[Any], bool], str]] = dict(
    method=(lambda value: isinstance(value, str) and value.isidentifier() and len(value) <= 64, 'the name of a class'),
    stem_kernel=(lambda value: type(value) is int and value in RESOLUTIONS, ' or '.join(map(str, RESOLUTIONS))),
    mean=(_are_numbers, 'finite numbers'),
    std=(lambda value: _are_numbers(value) and min(value) > 0, 'finite numbers above 0'),
    to_rgb=(lambda value: isinstance(value, bool), 'True or False'),
    resolution=(lambda value: type(value) is int and 1 <= value <= 65536, 'a number of pixels'),
    arch=(lambda value: isinstance(value, str), 'a text'),
    files=(is_file_choice, 'a choice of files'),
    pixel_range=(_is_pixel_range, 'a range of pixels'),
)


def check_described(meta: Mapping[str, Any], names: Collection[str], path: str) -> None:
    """Check the entries ``names`` of what a checkpoint says of itself.

    Raises:
        UserError: If one is missing, of another type or out of range.
    """
    for name in names:
        allowed, kind = _RULES[name]
        if name not in meta:
            raise UserError(f'{path}: does not say its {name}; take the checkpoint as it was written')
        if not allowed(meta[name]):
            shown = one_line(str(meta[name]))[:100] if isinstance(meta[name], str | float | bool) else type(meta[name]).__name__
            raise UserError(f'{path}: its {name} is {shown}, not {kind}; take the checkpoint as it was written')
    channels = len(meta['pixel_range']['low']) if 'pixel_range' in names else 3
    for name in ('mean', 'std'):
        if name in names and len(meta[name]) != channels:
            raise UserError(f'{path}: its {name} has {len(meta[name])} numbers for images of {channels} channels; take the '
                            'checkpoint as it was written')


def check_size(arch: Arch, stem_kernel: int, in_channels: int, state: Mapping[str, Tensor], path: str) -> None:
    """Whether a checkpoint holds as much as it says, before a network of that size is built.

    Raises:
        UserError: If the weights of ``arch`` cannot be in ``state``.
    """
    held = {value.untyped_storage().data_ptr(): value.untyped_storage().nbytes() for value in state.values()}
    least = arch.params(stem_kernel, in_channels=in_channels)
    if len(state) < TENSORS_PER_BLOCK * sum(arch.depths) or sum(held.values()) < least:
        raise UserError(f'{path}: its {len(state)} tensors are too few or too small for {arch}, which it says it holds; take '
                        'the checkpoint as it was written')


def behind(prefix: str, state: Mapping[Any, Any]) -> dict[str, Any]:
    """What keys of ``state`` begin with ``prefix``, without it."""
    return {str(key)[len(prefix):]: value for key, value in state.items() if str(key).startswith(prefix)}


def check_weights(state: Mapping[Any, Any], path: str) -> None:
    """Whether a backbone can compute with ``state``.

    Raises:
        UserError: If a value is no tensor of finite real numbers (whole ones in a batch norm's count), or a variance is below
            0.
    """
    for name, value in state.items():
        if not isinstance(name, str) or not isinstance(value, Tensor):
            raise UserError(f'{path}: holds {one_line(str(name))[:100]!r}, a {type(value).__name__}, among its weights')
        where, whole = f'{path}: its {one_line(name)[:100]}', name.endswith('num_batches_tracked')
        if value.layout != torch.strided or not (value.is_floating_point() or whole) or value.is_complex():
            kind = str(value.dtype if value.layout == torch.strided else value.layout).removeprefix('torch.')
            raise UserError(f'{where} is of type {kind}; weights are real numbers')
        if not torch.isfinite(value).all():
            raise UserError(f'{where} holds numbers that are not finite; the training has diverged')
        if name.endswith('running_var') and (value < 0).any():
            raise UserError(f'{where} holds a variance below 0; take the checkpoint as it was written')
