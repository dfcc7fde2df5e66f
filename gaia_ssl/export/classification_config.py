"""mmpretrain's classifiers on an exported backbone."""

from __future__ import annotations

import copy
import os
from collections.abc import Sequence

from mmengine.config import Config

from gaia_ssl.datasets.channel_pipeline import set_pixel_range
from gaia_ssl.datasets.classes import class_folders
from gaia_ssl.datasets.resolution import set_resolution
from gaia_ssl.errors import UserError
from gaia_ssl.export.backbone_config import LOADERS, backbone_config, drop_helpers
from gaia_ssl.pixel_range import PixelRange
from gaia_ssl.space import Arch


def fill_classifier(config: Config, checkpoint: str | os.PathLike, meta: dict, data_root: str | os.PathLike | None = None,
                    classes: Sequence[str] | None = None, resolution: int | None = None) -> Config:
    """A config of ``configs/downstream/`` with an exported backbone and the user's data in it, whole in itself.

    Args:
        config: ``imagenet-linear``, ``imagenet-semi-1p``, ``imagenet-semi-10p`` or ``classification``, or a small variant;
            it is left as it is.
        checkpoint: The exported ``backbone.pth``.
        meta: What that file says of itself.
        data_root: Folder with ``train/CLASS/`` and ``val/CLASS/``; default that of the config.
        classes: Names of the classes, sorted; default the folders in ``data_root/train``, or without ``data_root`` as many as
            the config has.
        resolution: Side of the images in pixels; default that of the export.

    Raises:
        UserError: If there is nothing to take the classes from.
    """
    config = copy.deepcopy(config)
    drop_helpers(config, 'train_pipeline', 'val_pipeline', 'data_root', 'epochs', 'warm_up')
    model = config.model
    model.backbone = backbone_config(checkpoint, meta, **model.backbone)
    model.head.in_channels = Arch.parse(meta['arch']).out_channels[-1]
    model.data_preprocessor.update(mean=meta['mean'], std=meta['std'], to_rgb=meta['to_rgb'])
    if data_root is not None:
        for name in LOADERS:
            config[name].dataset.data_root = os.path.abspath(data_root)
        if classes is None:
            classes = class_folders(os.path.join(data_root, config.train_dataloader.dataset.data_prefix))
    if classes is not None:
        model.head.num_classes = len(classes)
        for name in LOADERS:
            config[name].dataset.metainfo = dict(classes=tuple(classes))
    if model.head.num_classes is None:
        raise UserError('the number of classes is unknown; give the folder of the images, or the names of the classes')
    for evaluator in (config.val_evaluator, config.test_evaluator):
        evaluator.topk = tuple(k for k in evaluator.topk if k <= model.head.num_classes)
    for name in LOADERS:
        set_resolution(config[name].dataset.pipeline, resolution or meta['resolution'])
        set_pixel_range(config[name].dataset, PixelRange.of(meta.get('pixel_range')))
    return config
