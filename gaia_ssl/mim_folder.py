"""Where configs and tools lie, in an installed package or in a checkout. Standard library only."""

from __future__ import annotations

import pathlib


def mim_folder(name: str) -> pathlib.Path:
    """The folder ``configs`` or ``tools``: in ``gaia_ssl/.mim``, or beside the package where that is not installed."""
    package = pathlib.Path(__file__).resolve().parent
    folders = [(parent / name).resolve() for parent in (package / '.mim', package.parent)]
    return next((folder for folder in folders if folder.is_dir()), folders[0])
