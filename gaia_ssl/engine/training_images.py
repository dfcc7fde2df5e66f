"""What a training is shown: which files, and how large."""

from __future__ import annotations

from typing import Any

from mmengine.runner import Runner

from gaia_ssl.datasets.resolution import resolution_of
from gaia_ssl.file_choice import FileChoice


def images_of(runner: Runner) -> dict[str, Any]:
    """``resolution``, the side of the views in pixels, and ``files``, the choice of files; neither if it is not known, or all.

    In plain values, for checkpoints and for who judges on images alike.
    """
    dataset = (runner.cfg.to_dict().get('train_dataloader') or {}).get('dataset') or {}
    resolution = resolution_of(dataset.get('pipeline') or ())
    files = FileChoice.of({name: dataset.get(name) for name in ('include', 'exclude', 'ann_file')}).arguments()
    return {name: value for name, value in dict(resolution=resolution, files=files).items() if value}
