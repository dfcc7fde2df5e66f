"""The toolboxes' own tools, as pip installs them."""

from __future__ import annotations

import json
import os
import pathlib

from mmengine.utils import get_installed_path


def tool(toolbox: str, name: str) -> pathlib.Path:
    """``train.py`` or ``test.py`` of ``mmdet``, ``mmseg`` or ``mmpretrain``."""
    return pathlib.Path(get_installed_path(toolbox)) / '.mim' / 'tools' / name


def read_metrics(folder: str | os.PathLike) -> dict[str, float]:
    """What ``test.py --work-dir folder`` measured, the latest time; empty where it found nothing to measure.

    Raises:
        FileNotFoundError: If it did not come to its end.
    """
    files = sorted(pathlib.Path(folder).glob('*/*.json'))
    if not files:
        raise FileNotFoundError(f'{folder}: no metrics of test.py')
    metrics = json.loads(files[-1].read_text(encoding='utf-8'))
    return {name: value for name, value in metrics.items() if name not in ('time', 'data_time')}
