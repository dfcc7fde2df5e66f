"""A ready mmdet config for an exported backbone."""

from __future__ import annotations

import os
from collections.abc import Sequence

from mmengine.config import Config
from mmengine.hub import get_config

from gaia_ssl.export.backbone_config import backbone_config
from gaia_ssl.space import Arch


def mask_rcnn_config(checkpoint: str | os.PathLike, meta: dict) -> Config:
    """Mask R-CNN FPN 1x on COCO with the exported backbone, whole in itself.

    As in the paper: batch norm is trained and synchronised (``SyncBN``; mmengine makes it ``BN`` on one process), and no
    stage is frozen. ``data_root`` is mmdet's ``data/coco/``.

    Args:
        checkpoint: The exported ``backbone.pth``.
        meta: What that file says of itself.
    """
    config = get_config('mmdet::mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py')
    config.model.backbone = backbone_config(
        checkpoint, meta, out_indices=(0, 1, 2, 3), norm_cfg=dict(type='SyncBN', requires_grad=True))
    config.model.neck.in_channels = list(Arch.parse(meta['arch']).out_channels)
    config.model.data_preprocessor.update(mean=meta['mean'], std=meta['std'], bgr_to_rgb=meta['to_rgb'])
    return config


def small_mask_rcnn_config(config: Config, data_root: str, classes: Sequence[str], image_size: int, iterations: int,
                           batch_size: int = 8, channels: int = 256, lr: float = 1e-3) -> Config:
    """The same detector for little data and little time, e.g. on a CPU: square images, AdamW, a schedule in iterations.

    Args:
        config: What :func:`mask_rcnn_config` returned; it is changed.
        data_root: A folder with ``train2017/``, ``val2017/`` and ``annotations/instances_{train,val}2017.json``.
        classes: Names of the categories.
        image_size: Side to resize images to, in pixels.
        iterations: Length of the training; it is evaluated at its end.
        batch_size: Images a batch.
        channels: Width of FPN and heads.
        lr: Learning rate.
    """
    resize = dict(type='Resize', scale=(image_size, image_size))
    load, annotate = dict(type='LoadImageFromFile'), dict(type='LoadAnnotations', with_bbox=True, with_mask=True)
    meta_keys = ('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor')
    train_pipeline = [load, annotate, resize, dict(type='RandomFlip', prob=0.5), dict(type='PackDetInputs')]
    test_pipeline = [load, resize, annotate, dict(type='PackDetInputs', meta_keys=meta_keys)]
    config.pop('train_pipeline', None)
    config.pop('test_pipeline', None)

    data = dict(data_root=data_root, metainfo=dict(classes=tuple(classes)))
    config.train_dataloader.update(batch_size=batch_size, num_workers=1, sampler=dict(type='InfiniteSampler'))
    config.train_dataloader.dataset.update(**data, pipeline=train_pipeline)
    for name in ('val', 'test'):
        config[f'{name}_dataloader'].update(batch_size=batch_size, num_workers=1)
        config[f'{name}_dataloader'].dataset.update(**data, pipeline=test_pipeline)
        config[f'{name}_evaluator'].ann_file = os.path.join(data_root, 'annotations/instances_val2017.json')

    model = config.model
    model.neck.out_channels = channels
    model.rpn_head.update(in_channels=channels, feat_channels=channels)
    model.rpn_head.anchor_generator.scales = [4]
    roi = model.roi_head
    roi.bbox_roi_extractor.out_channels = roi.mask_roi_extractor.out_channels = channels
    roi.bbox_head.update(in_channels=channels, fc_out_channels=4 * channels, num_classes=len(classes))
    roi.mask_head.update(in_channels=channels, conv_out_channels=channels, num_classes=len(classes))
    model.train_cfg.rcnn.sampler.num = 128
    model.train_cfg.rpn_proposal.max_per_img = 200
    model.test_cfg.rpn.max_per_img = 200

    config.optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='AdamW', lr=lr, weight_decay=0.05),
                                clip_grad=dict(max_norm=10))
    warmup = max(1, iterations // 10)
    config.param_scheduler = [
        dict(type='LinearLR', start_factor=0.1, by_epoch=False, begin=0, end=warmup),
        dict(type='CosineAnnealingLR', by_epoch=False, begin=warmup, end=iterations, T_max=iterations - warmup),
    ]
    config.train_cfg = dict(type='IterBasedTrainLoop', max_iters=iterations, val_interval=iterations)
    config.default_hooks.logger.interval = 10
    config.default_hooks.checkpoint = dict(type='CheckpointHook', by_epoch=False, interval=max(1, iterations // 4))
    config.log_processor.by_epoch = False
    config.randomness = dict(seed=0)
    return config
