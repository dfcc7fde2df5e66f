"""The part of making views that a GPU does: taken out of the loader's pipeline, given to the model's preprocessor."""

from __future__ import annotations

from typing import Any

from mmengine.config import Config

from gaia_ssl.config_place import type_name
from gaia_ssl.models.views import can_change


def make_views_on_device(config: Config) -> bool:
    """Leave to the loader what comes before the last run of changes that the device can do, in every view's pipeline.

    Args:
        config: Of a training, changed in place: the transforms of its ``MultiView``, and ``views`` of its model's
            ``gaia_ssl.ViewPreprocessor``.

    Returns:
        Whether there was anything to move: not where the preprocessor is another, or the pipeline has no ``MultiView``.
    """
    preprocessor = config.model.get('data_preprocessor', {})
    pipeline = config.train_dataloader.dataset.get('pipeline', ())
    multi_view = next((transform for transform in pipeline if type_name(transform.get('type')) == 'MultiView'), None)
    if type_name(preprocessor.get('type')) != 'ViewPreprocessor' or multi_view is None:
        return False
    pipelines = [list(pipeline) for pipeline in multi_view.transforms]
    kept = [_kept(pipeline) for pipeline in pipelines]
    numbers = multi_view.num_views if isinstance(multi_view.num_views, list | tuple) else [multi_view.num_views]
    multi_view.transforms = [pipeline[:at] for pipeline, at in zip(pipelines, kept, strict=True)]
    preprocessor.views = [pipeline[at:] for pipeline, at, number in zip(pipelines, kept, numbers, strict=True)
                          for _ in range(number)]
    return any(preprocessor.views)


def _kept(pipeline: list[dict[str, Any]]) -> int:
    """How many transforms stay."""
    at = len(pipeline)
    while at and can_change(pipeline[at - 1]):
        at -= 1
    return at
