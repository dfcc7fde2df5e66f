"""Pipelines for images of a :class:`~gaia_ssl.pixel_range.PixelRange` in place of those for 8 bits and three colours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gaia_ssl.config_place import places, type_name
from gaia_ssl.datasets.channel_transforms import OWN
from gaia_ssl.datasets.image_folder import EXTENSIONS
from gaia_ssl.datasets.load_channels import LoadChannels
from gaia_ssl.errors import UserError
from gaia_ssl.pixel_range import PixelRange

CHANNEL_EXTENSIONS = (*EXTENSIONS, '.npy')
"""Endings of the files that are images then."""
_LOADERS = ('LoadImageFromFile', LoadChannels.__name__)
_SUITED = frozenset((
    'MultiView', 'RandomApply', 'RandomFlip', 'CenterCrop', 'Solarize', 'PackInputs', 'LoadAnnotations', 'FilterAnnotations',
    'Resize', 'RandomResize', 'RandomChoiceResize', 'RandomCrop', 'TestTimeAug', 'MapLabel', 'PackDetInputs', 'PackSegInputs'))
"""Transforms of the toolboxes that take any image."""
_PHOTOMETRIC = dict(type='gaia_ssl.ColorJitter', brightness=0.125, contrast=0.5, saturation=0.5)
"""As PhotoMetricDistortion of mmdet and mmseg has it, without hue."""


def set_pixel_range(dataset: dict, pixel_range: PixelRange | None) -> None:
    """Let the pipeline of a data set's config, which is changed, load and augment images of this range, if there is one.

    Raises:
        UserError: If a transform is not known to take images of any number of channels.
    """
    if pixel_range is None:
        return
    for _, each in places(dataset.get('pipeline') or ()):
        if not isinstance(each, dict) or each.get('type') is None:
            continue
        name = type_name(each['type'])
        if name in _LOADERS:
            each.clear()
            each.update(type=f'gaia_ssl.{LoadChannels.__name__}', **pixel_range.arguments())
        elif name in OWN:
            each['type'] = f'gaia_ssl.{name}'
        elif name == 'PhotoMetricDistortion':
            each.clear()
            each.update(_PHOTOMETRIC)
        elif name not in _SUITED:
            raise UserError(f'{name} is not known to take images of {pixel_range.channels} channels and more than 8 bits; '
                            f'leave it out of the pipeline, which may hold {", ".join(sorted({*OWN, *_SUITED}))}')
    if type_name(dataset.get('type', 'ImageFolder')) == 'ImageFolder':
        dataset['extensions'] = list(CHANNEL_EXTENSIONS)


def normalising(pipeline: Any, mean: Sequence[float], std: Sequence[float]) -> Any:
    """The pipeline of mmdet or mmseg that normalises before it packs, however deep that is."""
    if isinstance(pipeline, dict):
        return {name: normalising(value, mean, std) for name, value in pipeline.items()}
    if not isinstance(pipeline, list):
        return pipeline
    steps = []
    for step in pipeline:
        if isinstance(step, dict) and type_name(step.get('type')).startswith('Pack'):
            steps.append(dict(type='gaia_ssl.NormaliseChannels', mean=list(mean), std=list(std)))
        steps.append(normalising(step, mean, std))
    return steps


def pixel_range_of(pipeline: Sequence[dict]) -> PixelRange | None:
    """That of the transform that loads; None for 8 bits and three colours."""
    found: list[Any] = [each for _, each in places(pipeline) if isinstance(each, dict)
                        and type_name(each.get('type')) == LoadChannels.__name__]
    return PixelRange.of(found[0]) if found else None
