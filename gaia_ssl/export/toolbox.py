"""The toolboxes' own tools, as pip installs them."""

from __future__ import annotations

import json
import os
import pathlib
from importlib.metadata import PackageNotFoundError

from mmengine.utils import get_installed_path

from gaia_ssl.errors import UserError

PACKAGES = {'mmdet': 'onedl-mmdetection', 'mmseg': 'onedl-mmsegmentation', 'mmpretrain': 'onedl-mmpretrain'}
"""Toolbox -> the package that holds it."""


def tool(toolbox: str, name: str) -> pathlib.Path:
    """``train.py`` or ``test.py`` of ``mmdet``, ``mmseg`` or ``mmpretrain``.

    Raises:
        UserError: If the toolbox is not installed.
    """
    try:
        return pathlib.Path(get_installed_path(toolbox)) / '.mim' / 'tools' / name
    except PackageNotFoundError as error:
        raise UserError(f'{toolbox} is not installed; run: python -m pip install {PACKAGES[toolbox]}') from error


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
