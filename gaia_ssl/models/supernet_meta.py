"""What a supernet's checkpoint says of itself, in plain values, so that search and export need nothing retyped."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gaia_ssl.errors import UserError
from gaia_ssl.models.algorithms.distill import SupernetDistill
from gaia_ssl.models.algorithms.supernet import Supernet
from gaia_ssl.models.backbones import DynamicResNet
from gaia_ssl.models.checkpoint_values import behind, check_described, check_size, check_weights
from gaia_ssl.models.normalisation import normalisation_of
from gaia_ssl.space import ArchSpace
from gaia_ssl.space.cost import RESOLUTIONS

LARGEST = 10**6
"""No width or depth of a network exceeds it."""
_KEYS = ('method', 'stem_kernel', 'mean', 'std', 'to_rgb')
_OPTIONAL = ('resolution', 'files', 'pixel_range')
"""What training adds: see :func:`gaia_ssl.engine.training_images.images_of`."""


def supernet_meta(model: Supernet) -> dict[str, Any]:
    """Method, space, stem and image normalisation of ``model``; of a distilled one, its frozen teacher."""
    meta = dict(method=type(model).__name__, space=model.backbone.space.to_dict(), stem_kernel=model.backbone.stem_kernel,
                **normalisation_of(model.data_preprocessor))
    if isinstance(model, SupernetDistill):
        meta['teacher'] = dict(config=model.frozen_teacher.described(), sha256=model.frozen_teacher.fingerprint)
    return meta


def read_supernet_meta(checkpoint: dict[str, Any], path: str) -> dict[str, Any]:
    """The description inside a supernet's checkpoint, its ``space`` as an :class:`ArchSpace`.

    Where training noted them, ``resolution``, ``files`` and ``pixel_range`` are among it.

    Raises:
        UserError: If there is none, or an entry is of another type or out of range.
    """
    meta = checkpoint.get('meta', {}).get('gaia_ssl')
    if isinstance(meta, dict) and 'arch' in meta:
        raise UserError(f'{path}: an exported backbone, not a supernet; give the checkpoint that tools/train.py wrote')
    if not isinstance(meta, dict) or not {*_KEYS, 'space'} <= meta.keys() or 'state_dict' not in checkpoint:
        raise UserError(f'{path}: not a checkpoint of a gaia_ssl supernet; give one that tools/train.py wrote')
    try:
        space = ArchSpace(**meta['space'])
        if max(space.max.numbers) > LARGEST:
            raise UserError(f'a dimension of it exceeds {LARGEST}')
    except (TypeError, UserError) as error:
        raise UserError(f'{path}: the search space in it is broken ({str(error)[:300]})') from error
    keys = (*_KEYS, *(name for name in _OPTIONAL if name in meta))
    check_described(meta, keys, path)
    return {**{name: meta[name] for name in keys}, 'space': space}


def trained_resolution(meta: Mapping[str, Any]) -> int:
    """Side of the images, in pixels, that what ``meta`` describes was trained at; where it does not say, its stem's usual."""
    return meta.get('resolution', RESOLUTIONS[meta['stem_kernel']])


def in_channels_of(meta: Mapping[str, Any]) -> int:
    """Channels of the images of a supernet, or of an exported backbone, that ``meta`` describes."""
    return len(meta['mean'])


def check_supernet(checkpoint: dict[str, Any], path: str) -> dict[str, Any]:
    """:func:`read_supernet_meta`, once it is sure that the checkpoint holds weights of that size, and numbers.

    Raises:
        UserError: As :func:`read_supernet_meta`, or if it does not.
    """
    meta, state = read_supernet_meta(checkpoint, path), checkpoint['state_dict']
    for prefix in ('neck.', 'teacher.', 'backbone.'):
        check_weights(behind(prefix, state), path)
    check_size(meta['space'].max, meta['stem_kernel'], in_channels_of(meta), behind('backbone.', state), path)
    return meta


def student_backbone(checkpoint: dict[str, Any], path: str) -> DynamicResNet:
    """The student's backbone with the weights of a supernet's checkpoint, putting out C2 to C5.

    Raises:
        UserError: As :func:`read_supernet_meta`, or if a weight is missing, misshapen or no number to compute with.
    """
    meta, state = check_supernet(checkpoint, path), behind('backbone.', checkpoint['state_dict'])
    backbone = DynamicResNet(meta['space'], stem_kernel=meta['stem_kernel'], in_channels=in_channels_of(meta))
    try:
        backbone.load_state_dict(state)
    except RuntimeError as error:
        raise UserError(f"{path}: its weights do not fit its own space: {' '.join(str(error).split())[:300]}") from error
    return backbone.eval()
