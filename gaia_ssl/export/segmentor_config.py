"""mmseg's segmentors on an exported backbone."""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping, Sequence
from typing import Any

from mmengine.config import Config

from gaia_ssl.export.backbone_config import LOADERS, backbone_config, drop_helpers
from gaia_ssl.export.cityscapes_data import cityscapes_image_suffix
from gaia_ssl.export.dense import check_strides, set_normalisation
from gaia_ssl.space import Arch


def fill_segmentor(config: Config, checkpoint: str | os.PathLike, meta: dict, data_root: str | os.PathLike | None = None,
                   classes: Sequence[str] | None = None, datasets: Mapping[str, dict] | None = None,
                   binary: bool = False) -> Config:
    """A config of ``configs/downstream/`` with an exported backbone and the user's data in it, whole in itself.

    Args:
        config: ``cityscapes-fcn``, ``segmentation`` or a small variant; it is left as it is.
        checkpoint: The exported ``backbone.pth``.
        meta: What that file says of itself.
        data_root: Folder with ``leftImg8bit/`` and ``gtFine/``, or that of ``datasets``; default that of the config.
        classes: Names of the classes, for which the heads are sized; default those of Cityscapes.
        datasets: Loader -> settings of its data set: where images and masks are and how their names end.
        binary: Whether the masks are 0 and 255, the latter for the second class.

    Raises:
        UserError: If the backbone's stem is that for small images, or there are no images in ``data_root``.
    """
    check_strides(meta)
    config = copy.deepcopy(config)
    drop_helpers(config, 'norm_cfg', 'crop_size', 'data_root', 'train_pipeline', 'test_pipeline')
    model, channels = config.model, Arch.parse(meta['arch']).out_channels
    model.backbone = backbone_config(checkpoint, meta, **model.backbone)
    set_normalisation(config, meta)
    for head in (model.decode_head, model.auxiliary_head):
        head.in_channels = channels[head.in_index]
        if classes is not None:
            head.num_classes = len(classes)
    for loader in LOADERS:
        dataset = config[loader].dataset
        if classes is not None:
            dataset.metainfo = dict(classes=tuple(classes))
        if data_root is not None:
            dataset.data_root = os.path.abspath(data_root)
        if datasets is not None:
            dataset.update(copy.deepcopy(datasets[loader]))
        elif data_root is not None:
            dataset.img_suffix = cityscapes_image_suffix(os.path.join(data_root, dataset.data_prefix.img_path))
        if binary:
            dataset.pipeline = _of_binary(dataset.pipeline)
    if binary:
        config.tta_pipeline = _of_binary(config.tta_pipeline)
    return config


def _of_binary(pipeline: Any) -> Any:
    """The pipeline, in which after each ``LoadAnnotations``, however deep, 255 becomes 1."""
    if isinstance(pipeline, dict):
        return {name: _of_binary(value) for name, value in pipeline.items()}
    if not isinstance(pipeline, list):
        return pipeline
    steps = []
    for step in pipeline:
        steps.append(_of_binary(step))
        if isinstance(step, dict) and step.get('type') == 'LoadAnnotations':
            steps.append(dict(type='gaia_ssl.MapLabel', old=255, new=1))
    return steps
