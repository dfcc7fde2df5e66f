"""Configs of trainings and searches for images of any number of channels and bits."""

from __future__ import annotations

from mmengine.config import Config

from gaia_ssl.datasets.channel_pipeline import set_pixel_range
from gaia_ssl.datasets.measure_pixels import Pixels
from gaia_ssl.export.backbone_config import LOADERS, datasets_of


def set_pixels(config: Config, pixels: Pixels | None) -> None:
    """Let backbone, data preprocessor and pipelines of ``config``, which is changed, take such images, if there are any.

    Raises:
        UserError: If a pipeline holds a transform that is not known to take them.
    """
    if pixels is None:
        return
    config.model.backbone.in_channels = pixels.range.channels
    config.model.data_preprocessor = dict(type='gaia_ssl.ViewPreprocessor', mean=list(pixels.mean), std=list(pixels.std),
                                          to_rgb=False)
    for loader in LOADERS:
        for dataset in datasets_of(config, loader) if config.get(loader) else ():
            set_pixel_range(dataset, pixels.range)
