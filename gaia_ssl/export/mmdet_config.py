"""A ready mmdet config for an exported backbone."""

from __future__ import annotations

import os

from mmengine.config import Config
from mmengine.hub import get_config

from gaia_ssl.space import Arch


def mask_rcnn_config(checkpoint: str | os.PathLike, meta: dict) -> Config:
    """Mask R-CNN FPN 1x on COCO with the exported backbone, whole in itself.

    As in the paper: batch norm is trained and synchronised (``SyncBN``; mmengine makes it ``BN`` on one process), and no
    stage is frozen. ``data_root`` is mmdet's ``data/coco/``.

    Args:
        checkpoint: The exported ``backbone.pth``.
        meta: What that file says of itself.
    """
    arch = Arch.parse(meta['arch'])
    config = get_config('mmdet::mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py')
    config.model.backbone = dict(
        type='gaia_ssl.SubnetResNet',
        arch=str(arch),
        stem_kernel=meta['stem_kernel'],
        out_indices=(0, 1, 2, 3),
        norm_cfg=dict(type='SyncBN', requires_grad=True),
        init_cfg=dict(type='Pretrained', checkpoint=os.path.abspath(checkpoint)))
    config.model.neck.in_channels = list(arch.out_channels)
    config.model.data_preprocessor.update(mean=meta['mean'], std=meta['std'], bgr_to_rgb=meta['to_rgb'])
    return config
