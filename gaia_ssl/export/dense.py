"""What configs of detectors and segmentors share."""

from __future__ import annotations

from mmengine.config import Config

from gaia_ssl.datasets.channel_pipeline import normalising, set_pixel_range
from gaia_ssl.errors import UserError
from gaia_ssl.export.backbone_config import LOADERS, datasets_of
from gaia_ssl.pixel_range import PixelRange


def check_strides(meta: dict) -> None:
    """Detectors and segmentors take a backbone whose C2 has stride 4.

    Raises:
        UserError: If its stem is that for small images.
    """
    if meta['stem_kernel'] != 7:
        raise UserError(f"the backbone {meta['arch']} has the 3x3 stem for images of about 32 px, whose features have other "
                        'strides than detectors and segmentors take; train a supernet with stem_kernel=7')


def set_normalisation(config: Config, meta: dict) -> None:
    """Let a config of mmdet or mmseg, which is changed, show its images as the backbone was shown them.

    Raises:
        UserError: If a transform is not known to take images of any number of channels, and these are no colours.
    """
    preprocessor = config.model.data_preprocessor
    pixel_range = PixelRange.of(meta.get('pixel_range'))
    if pixel_range is None:
        preprocessor.update(mean=meta['mean'], std=meta['std'], bgr_to_rgb=meta['to_rgb'])
        return
    preprocessor.update(mean=None, std=None, bgr_to_rgb=False)
    datasets = {id(dataset): dataset for loader in LOADERS for dataset in datasets_of(config, loader)}  # may be shared
    for owner, name in [(dataset, 'pipeline') for dataset in datasets.values()] + [(config, 'tta_pipeline')]:
        if owner.get(name):
            set_pixel_range(dict(type=owner.get('type'), pipeline=owner[name]), pixel_range)
            owner[name] = normalising(owner[name], meta['mean'], meta['std'])
