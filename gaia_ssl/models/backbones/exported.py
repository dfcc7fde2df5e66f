"""The weights in an exported ``backbone.pth``, for the modules that are parts of it."""

from __future__ import annotations

import os

from torch import Tensor, nn

from gaia_ssl.checkpoint import load_checkpoint
from gaia_ssl.errors import UserError
from gaia_ssl.models.checkpoint_values import check_weights
from gaia_ssl.space import Arch


def read_backbone(path: str | os.PathLike, arch: Arch) -> dict[str, Tensor]:
    """The state dict of the exported backbone in ``path``, with torchvision's key names.

    Raises:
        UserError: If the file is unreadable, no exported backbone, or one of another arch; if its weights are no numbers to
            compute with.
    """
    checkpoint = load_checkpoint(path)
    meta = checkpoint.get('meta', {}).get('gaia_ssl')
    if not isinstance(meta, dict) or 'arch' not in meta or 'state_dict' not in checkpoint:
        raise UserError(f'{path}: not an exported backbone; make one with tools/export.py')
    if meta['arch'] != str(arch):
        raise UserError(f"{path}: holds the backbone {meta['arch']}, but the config says arch='{arch}'")
    check_weights(checkpoint['state_dict'], str(path))
    return checkpoint['state_dict']


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
