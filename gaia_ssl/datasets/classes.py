"""Folders of labelled images: one folder a class."""

from __future__ import annotations

import os

from mmpretrain.datasets.custom import find_folders

from gaia_ssl.config_file import check_text
from gaia_ssl.datasets.image_files import is_skipped
from gaia_ssl.errors import UserError


def class_folders(folder: str | os.PathLike) -> list[str]:
    """Names of the classes, the folders directly below ``folder`` but for hidden and system ones, sorted.

    Raises:
        UserError: If the folder is missing, holds none, or one has a name that a config cannot hold.
    """
    folder = os.path.normpath(folder)
    if not os.path.isdir(folder):
        raise UserError(f'{folder}: no such folder; give labelled images as {folder}/CLASS/IMAGE')
    classes = [name for name in find_folders(folder)[0] if not is_skipped(name)]
    for name in classes:
        check_text(name, f'a class in {folder}')
    if not classes:
        raise UserError(f'{folder}: no labels, because it has no folder a class; sort the images into {folder}/CLASS/')
    return classes


def common_classes(train: str | os.PathLike, val: str | os.PathLike) -> list[str]:
    """The classes of two folders.

    Raises:
        UserError: If either has none, or they differ.
    """
    classes = class_folders(train)
    check_classes(class_folders(val), classes, f'{val} and {train}')
    return classes


def check_classes(found: list[str], expected: list[str], where: str) -> None:
    """Compare two lists of classes, whose order numbers them.

    Raises:
        UserError: If they differ; it begins with ``where``.
    """
    if list(found) != list(expected):
        sides = [('only the former has', set(found) - set(expected)), ('only the latter has', set(expected) - set(found))]
        differences = [f"{side} {_some(names)}" for side, names in sides if names] or ['they are in another order']
        raise UserError(f"{where} differ in their classes ({'; '.join(differences)}); give both the same, sorted by name")


def _some(names: set[str]) -> str:
    return ', '.join(sorted(names)[:5]) + (f' and {len(names) - 5} more' if len(names) > 5 else '')
