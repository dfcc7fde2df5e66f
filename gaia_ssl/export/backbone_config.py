"""The exported backbone as a config of any OpenMMLab toolbox names it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from mmengine.config import Config, ConfigDict

from gaia_ssl.models.supernet_meta import in_channels_of

LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')


def backbone_config(checkpoint: str | os.PathLike, meta: dict, **settings: Any) -> dict:
    """``model.backbone`` for an exported checkpoint; any key of it that does not match is an error when it loads.

    Args:
        checkpoint: The exported ``backbone.pth``.
        meta: What that file says of itself.
        settings: Further arguments of :class:`gaia_ssl.models.SubnetResNet`, e.g. ``out_indices``, ``norm_cfg``.
    """
    settings = {name: value for name, value in settings.items() if name not in ('type', 'arch', 'stem_kernel', 'init_cfg')}
    if 'pixel_range' in meta:
        settings['in_channels'] = in_channels_of(meta)
    return dict(
        type='gaia_ssl.SubnetResNet',
        arch=meta['arch'],
        stem_kernel=meta['stem_kernel'],
        init_cfg=pretrained(checkpoint),
        **settings)


def pretrained(checkpoint: str | os.PathLike) -> dict:
    """The ``init_cfg`` that loads an exported ``backbone.pth``."""
    return dict(type='Pretrained', checkpoint=os.path.abspath(checkpoint))


def datasets_of(config: Config, loader: str) -> Iterator[ConfigDict]:
    """The data sets of ``loader`` that hold images, inside whatever wraps them."""
    todo = [config[loader].dataset]
    while todo:
        dataset = todo.pop(0)
        inner = [*dataset.get('datasets', []), *([dataset.dataset] if 'dataset' in dataset else [])]
        if inner:
            todo += inner
        else:
            yield dataset


def drop_helpers(config: Config, *names: str) -> None:
    """Take out settings that nothing reads but the config file itself."""
    for name in names:
        config.pop(name, None)
