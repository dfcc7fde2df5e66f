"""The weights in an exported ``backbone.pth``, for the modules that are parts of it."""

from __future__ import annotations

import os
from typing import Any

from torch import Tensor, nn

from gaia_ssl.checkpoint import load_checkpoint
from gaia_ssl.errors import UserError
from gaia_ssl.models.checkpoint_values import behind, check_weights
from gaia_ssl.models.pretrained_checkpoint import local_file, read_foreign_checkpoint
from gaia_ssl.space import Arch


def read_backbone(path: str | os.PathLike, arch: Arch, prefix: str | None = None) -> dict[str, Tensor]:
    """The state dict of the exported backbone in ``path``, with torchvision's key names.

    Args:
        path: The file, with ``~`` for the home folder or as ``file:///…``; or its http(s) address.
        arch: That it has to be of.
        prefix: Take what stands behind it in a checkpoint of any model, e.g. ``backbone.`` in one that mmpretrain trained; its
            arch is not told, but the shapes of its weights are.

    Raises:
        UserError: If the file is unreadable, no exported backbone, or one of another arch; if its weights are no numbers to
            compute with; if there is nothing behind ``prefix``.
    """
    if prefix:
        return _read_behind(prefix, read_foreign_checkpoint(str(path)), str(path))
    checkpoint = load_checkpoint(local_file(str(path)))
    meta = checkpoint.get('meta', {}).get('gaia_ssl')
    if not isinstance(meta, dict) or 'arch' not in meta or 'state_dict' not in checkpoint:
        raise UserError(f'{path}: not an exported backbone; make one with tools/export.py, or of a '
                        "model that was trained with one say init_cfg=dict(…, prefix='backbone.')")
    if meta['arch'] != str(arch):
        raise UserError(f"{path}: holds the backbone {meta['arch']}, but the config says arch='{arch}'")
    check_weights(checkpoint['state_dict'], str(path))
    return checkpoint['state_dict']


def _read_behind(prefix: str, checkpoint: dict[str, Any], path: str) -> dict[str, Tensor]:
    prefix = prefix.rstrip('.') + '.'
    weights = checkpoint.get('state_dict', checkpoint)
    state = behind(prefix, weights)
    if not state:
        found = ', '.join(map(str, list(weights)[:3]))
        raise UserError(f"{path}: has no key that begins with prefix='{prefix}', but {found}, …")
    check_weights(state, path)
    return state


def load_strictly(module: nn.Module, state: dict[str, Tensor], path: str | os.PathLike, what: str) -> None:
    """Load ``state`` into ``module``.

    Args:
        module: A backbone, or a part of one.
        state: All its parameters and buffers, and nothing else.
        path: Where ``state`` is from, for the message.
        what: What ``module`` is, for the message.

    Raises:
        UserError: If a key is missing, unexpected or misshapen.
    """
    try:
        module.load_state_dict(state, strict=True)
    except RuntimeError as error:
        raise UserError(f"{path}: does not match {what}: {' '.join(str(error).split())[:300]}") from error
