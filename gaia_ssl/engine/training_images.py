"""What a training is shown: which files, and how large."""

from __future__ import annotations

from typing import Any

from mmengine.runner import Runner

from gaia_ssl.datasets.channel_pipeline import pixel_range_of
from gaia_ssl.datasets.resolution import resolution_of
from gaia_ssl.file_choice import FileChoice


def images_of(runner: Runner) -> dict[str, Any]:
    """``resolution``, the side of the views in pixels, ``files``, the choice of files, and the ``pixel_range``; none of them if
    it is not known, or all, or that of 8 bits and three colours.

    In plain values, for checkpoints and for who judges on images alike.
    """
    dataset = (runner.cfg.to_dict().get('train_dataloader') or {}).get('dataset') or {}
    pipeline = dataset.get('pipeline') or ()
    resolution, pixel_range = resolution_of(pipeline), pixel_range_of(pipeline)
    files = FileChoice.of({name: dataset.get(name) for name in ('include', 'exclude', 'ann_file')}).arguments()
    found = dict(resolution=resolution, files=files, pixel_range=pixel_range and pixel_range.arguments())
    return {name: value for name, value in found.items() if value}
