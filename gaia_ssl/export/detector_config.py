"""mmdet's detectors on an exported backbone."""

from __future__ import annotations

import copy
import os
from collections.abc import Sequence

from mmengine.config import Config

from gaia_ssl.export.backbone_config import LOADERS, backbone_config, datasets_of, drop_helpers, pretrained
from gaia_ssl.export.dense import check_strides, set_normalisation
from gaia_ssl.space import Arch


def fill_detector(config: Config, checkpoint: str | os.PathLike, meta: dict, data_root: str | os.PathLike | None = None,
                  classes: Sequence[str] | None = None) -> Config:
    """A config of ``configs/downstream/`` with an exported backbone and the user's data in it, whole in itself.

    Args:
        config: ``coco-mask-rcnn`` or ``voc-faster-rcnn-c4``, or a small variant; it is left as it is.
        checkpoint: The exported ``backbone.pth``.
        meta: What that file says of itself.
        data_root: Of all data sets; default that of the config.
        classes: Names of the classes, for which the heads are sized; default those of the config.

    Raises:
        UserError: If the backbone's stem is that for small images.
    """
    check_strides(meta)
    config = copy.deepcopy(config)
    drop_helpers(config, 'arch', 'norm_cfg', 'dataset_type', 'data_root', 'classes', 'backend_args', 'train_sets', 'train_set',
                 'train_pipeline', 'test_pipeline')
    model, channels = config.model, Arch.parse(meta['arch']).out_channels
    model.backbone = backbone_config(checkpoint, meta, **model.backbone)
    set_normalisation(config, meta)
    if 'neck' in model:
        model.neck.in_channels = list(channels)
    if 'shared_head' in model.roi_head:
        model.roi_head.shared_head.update(arch=meta['arch'], init_cfg=pretrained(checkpoint))
        model.rpn_head.update(in_channels=channels[2], feat_channels=channels[2])
        model.roi_head.bbox_roi_extractor.out_channels = channels[2]
        model.roi_head.bbox_head.in_channels = channels[3]
    if data_root is not None:
        _set_data_root(config, os.path.abspath(data_root))
    if classes is not None:
        _set_classes(config, tuple(classes))
    return config


def _set_data_root(config: Config, root: str) -> None:
    for loader in LOADERS:
        for dataset in datasets_of(config, loader):
            dataset.data_root = root
    for name in ('val', 'test'):
        if 'ann_file' in config[f'{name}_evaluator']:
            config[f'{name}_evaluator'].ann_file = os.path.join(root, config[f'{name}_dataloader'].dataset.ann_file)


def _set_classes(config: Config, classes: tuple[str, ...]) -> None:
    for loader in LOADERS:
        for dataset in datasets_of(config, loader):
            dataset.metainfo = dict(classes=classes)
    for head in ('bbox_head', 'mask_head'):
        if head in config.model.roi_head:
            config.model.roi_head[head].num_classes = len(classes)


def quick_mask_rcnn(config: Config, image_size: int, iterations: int, batch_size: int = 8, channels: int = 256,
                    lr: float = 1e-3) -> Config:
    """A lighter Mask R-CNN for demonstrations on a CPU: square images, narrow heads, fewer regions, AdamW.

    Args:
        config: What :func:`fill_detector` made of ``coco-mask-rcnn_small``; it is changed.
        image_size: Side to resize images to, in pixels.
        iterations: Length of the training, without a validation.
        batch_size: Images a batch.
        channels: Width of FPN and heads.
        lr: Learning rate.
    """
    for loader in LOADERS:
        config[loader].batch_size = batch_size
        for transform in config[loader].dataset.pipeline:
            if transform['type'] == 'Resize':
                transform.update(scale=(image_size, image_size), keep_ratio=False)

    model = config.model
    model.neck.out_channels = channels
    model.rpn_head.update(in_channels=channels, feat_channels=channels)
    model.rpn_head.anchor_generator.scales = [4]
    roi = model.roi_head
    roi.bbox_roi_extractor.out_channels = roi.mask_roi_extractor.out_channels = channels
    roi.bbox_head.update(in_channels=channels, fc_out_channels=4 * channels)
    roi.mask_head.update(in_channels=channels, conv_out_channels=channels)
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
    config.train_cfg.update(max_iters=iterations, val_begin=iterations + 1)
    config.default_hooks.checkpoint.interval = max(1, iterations // 4)
    config.randomness = dict(seed=0)
    return config
