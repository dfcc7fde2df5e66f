"""Where the downstream configs lie."""

from __future__ import annotations

import pathlib

from gaia_ssl.errors import UserError
from gaia_ssl.mim_folder import mim_folder


def downstream_config_path(task: str, small: bool = False) -> pathlib.Path:
    """The file of a task's config, in a checkout or an installed package.

    Args:
        task: Its name, e.g. ``imagenet-linear``.
        small: The variant for little data and time.

    Raises:
        UserError: If there is no such task.
    """
    paths = {path.stem: path for path in (mim_folder('configs') / 'downstream').glob('*.py')}
    tasks = sorted(name for name in paths if not name.endswith('_small'))
    if task not in tasks:
        raise UserError(f"'{task}' is not a downstream task; choose from {', '.join(tasks)}")
    name = f'{task}_small' if small else task
    if name not in paths:
        raise UserError(f'{task} has no small variant')
    return paths[name]
