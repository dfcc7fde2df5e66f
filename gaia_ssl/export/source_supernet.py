"""A pretrained network as the checkpoint of a supernet that has learnt nothing since."""

from __future__ import annotations

import os
from typing import Any

from gaia_ssl.checkpoint import save_checkpoint
from gaia_ssl.models.backbones import DynamicResNet
from gaia_ssl.models.pretrained_checkpoint import read_pretrained
from gaia_ssl.models.pretrained_start import check_start
from gaia_ssl.models.supernet_meta import in_channels_of
from gaia_ssl.space import Arch


def source_arch(source: str, meta: dict[str, Any]) -> Arch:
    """The arch of the pretrained ResNet ``source``.

    Args:
        source: As in :func:`~gaia_ssl.models.pretrained_checkpoint.read_pretrained`.
        meta: Of the supernet that it is to be compared with, see :func:`~gaia_ssl.models.supernet_meta.read_supernet_meta`.

    Raises:
        UserError: If it cannot be read, or that supernet could not have started from it.
    """
    pretrained = read_pretrained(source)
    check_start(pretrained, meta['space'].max, meta['stem_kernel'])
    return pretrained.arch


def write_source_supernet(source: str, meta: dict[str, Any], path: str | os.PathLike) -> None:
    """Write the supernet of space and stem as in ``meta`` that ``tools/train.py --start source`` begins with."""
    pretrained = dict(type='Pretrained', checkpoint=source)
    backbone = DynamicResNet(meta['space'], stem_kernel=meta['stem_kernel'], in_channels=in_channels_of(meta),
                             init_cfg=pretrained)
    backbone.init_weights()
    state = {f'backbone.{name}': value for name, value in backbone.state_dict().items()}
    save_checkpoint(dict(state_dict=state, meta=dict(gaia_ssl={**meta, 'space': meta['space'].to_dict()})), path)
