"""One number for every size of images in a config."""

from __future__ import annotations

from typing import Any

from mmengine.config import Config

from gaia_ssl.config_place import type_name
from gaia_ssl.datasets.resolution import resolution_of, set_resolution
from gaia_ssl.errors import UserError


def set_config_resolution(config: Config, resolution: int | None, loader: str, keep_groups: bool = False) -> None:
    """Let training, search and hooks of ``config``, which is changed, take images of one size.

    That is the crops of all pipelines, ``test_cfg.resolution`` for the FLOPs of a search, its ``group_edges``, which grow as
    FLOPs do, with the area, and the ``resolution`` of :class:`~gaia_ssl.engine.SubnetEvaluationHook`.

    Args:
        config: Of a training or a search.
        resolution: The side in pixels; None changes nothing.
        loader: ``'train_dataloader'`` or ``'test_dataloader'``, what the tool runs on.
        keep_groups: Whether the ``group_edges`` are those of this resolution.

    Raises:
        UserError: If it is below 1, or the loader's pipeline has no crop whose size could be set.
    """
    if resolution is None:
        return
    if resolution < 1:
        raise UserError(f'--resolution is {resolution}; give a number of pixels')
    if resolution_of(config.get(loader, {}).get('dataset', {}).get('pipeline') or ()) is None:
        raise UserError(f"--resolution: the pipeline of the config's {loader} has neither RandomResizedCrop nor CenterCrop; "
                        'set its sizes in the config')
    for name in config:
        set_resolution([config[name]], resolution)
    search: Any = config.get('test_cfg') or {}
    if type_name(search.get('type')) == 'TaskAwareSearchLoop':
        if search.get('group_edges') and not keep_groups:
            scale = (resolution / search.get('resolution', 224))**2
            search.group_edges = [float(f'{edge * scale:.3g}') for edge in search.group_edges]
        search.resolution = resolution
    for hook in config.get('custom_hooks') or ():
        if type_name(hook.type) == 'SubnetEvaluationHook':
            hook.resolution = resolution
