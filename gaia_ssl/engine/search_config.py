"""The search of a supernet that is known by its checkpoint alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mmengine.config import Config
from torch import Tensor

from gaia_ssl.checkpoint import load_checkpoint
from gaia_ssl.datasets.measure_pixels import Pixels
from gaia_ssl.engine.pixels import set_pixels
from gaia_ssl.engine.resolution import set_config_resolution
from gaia_ssl.errors import UserError
from gaia_ssl.mim_folder import mim_folder
from gaia_ssl.models.supernet_meta import check_supernet, in_channels_of, trained_resolution

SMALL = 1e9
"""Multiply-adds of a supernet below which its search is a small one."""
_NAMES = {'z': 'z_imagenet', 'c5': 'c5_voc', 'c4-c5': 'c4-c5_cityscapes', 'c2-c5': 'c2-c5_coco'}
"""Task -> the file of its search in ``configs/search``, and with ``_small`` that of a small supernet."""
_METHODS = {'SupernetMoCo': 'mocov2', 'SupernetBYOL': 'byol', 'SupernetReSSL': 'ressl', 'SupernetDenseCL': 'densecl',
            'SupernetDistill': 'distill'}
"""Method -> its file in ``configs/_base_``."""


def config_of_checkpoint(path: str, tasks: Sequence[str]) -> Config:
    """The config that comes with gaia_ssl for the first of ``tasks``, its model that of the supernet in the file ``path``.

    The model follows from what the checkpoint says of itself, method, space, stem, normalisation and side of its images, and
    from the shapes of its weights.

    Args:
        path: A supernet's checkpoint.
        tasks: To rank for.

    Raises:
        UserError: If it is none, a task is unknown, or the supernet is not built as one of the methods' configs has it.
    """
    if unknown := [task for task in tasks if task not in _NAMES]:
        raise UserError(f"'{unknown[0]}' is no task of a search; choose from {', '.join(_NAMES)}")
    checkpoint = load_checkpoint(path)
    meta = check_supernet(checkpoint, path)
    space, stem_kernel = meta['space'], meta['stem_kernel']
    resolution = trained_resolution(meta)
    size = '_small' if space.max.flops(resolution, stem_kernel, in_channels_of(meta)) < SMALL else ''
    configs = mim_folder('configs')
    config = Config.fromfile(configs / 'search' / f'{_NAMES[tasks[0]]}{size}.py')
    if meta['method'] not in _METHODS:
        raise UserError(f"{path}: of a {meta['method']}, which no config of gaia_ssl trains; give the CONFIG of its search")
    model = Config.fromfile(configs / '_base_' / f"{_METHODS[meta['method']]}_supernet.py").model
    model.backbone.update(space=space.to_dict(), stem_kernel=stem_kernel)
    model.data_preprocessor.update({name: meta[name] for name in ('mean', 'std', 'to_rgb')})
    try:
        _fill_sizes(model, meta['method'], checkpoint['state_dict'])
    except (KeyError, IndexError) as error:
        raise UserError(f'{path}: not built as the {meta["method"]} of the configs of gaia_ssl ({error} is missing); give the '
                        'CONFIG of its search') from error
    if meta['method'] == 'SupernetDistill':
        model.teacher = dict(type='gaia_ssl.PretrainedResNet', checkpoint='')  # its hash is in the weights; it is not read
    config.model = model
    config.test_cfg.update(tasks=list(tasks))
    config.test_cfg.pop('group_edges', None)  # of another space
    set_config_resolution(config, resolution, 'test_dataloader')
    set_pixels(config, Pixels.of(meta) if 'pixel_range' in meta else None)
    return config


def _fill_sizes(model: Any, method: str, state: Mapping[str, Tensor]) -> None:
    """Widths of neck and head, and the queue's size, by the weights; a KeyError or IndexError if one is not there."""
    def size(name: str, dimension: int = 0) -> int:
        return state[name].shape[dimension]

    if 'queue' in state:
        model.update(feat_dim=size('queue'), queue_len=size('queue', 1))
    if method == 'SupernetBYOL':
        model.neck.update(hid_channels=size('neck.fc0.weight'), out_channels=size('neck.fc1.weight'))
        model.head.predictor.update(
            in_channels=size('head.predictor.fc0.weight', 1), hid_channels=size('head.predictor.fc0.weight'),
            out_channels=size('head.predictor.fc1.weight'))
    elif method == 'SupernetDistill':
        model.feat_dim = size('neck.fc.weight')
        model.head.queue = float('queue' in state)
    else:
        model.neck.update(hid_channels=size('neck.mlp.0.weight'), out_channels=size('neck.mlp.2.weight'))
