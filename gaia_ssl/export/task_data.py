"""What the readers of the user's data have in common; there is one reader a layout, in the files beside this one."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

from gaia_ssl.errors import UserError

MIN_SIZE = 32
"""Of the shorter side of a detector's training image in pixels, as in the configs' ``filter_cfg``."""
Report = Callable[[str], None]


@dataclasses.dataclass(frozen=True)
class TaskData:
    """What there is of a task's data.

    Attributes:
        root: The config's ``data_root``.
        classes: Names of the classes, in the order of their labels.
        images: Folder of the training images, to recalibrate batch norm on.
        names: Which files in it are training images, with or without suffix; None for all.
        num_images: How many images there are to train on.
        settings: Further arguments of the task's ``fill``.
    """

    root: str
    classes: tuple[str, ...]
    images: str
    names: frozenset[str] | None
    num_images: int
    settings: dict[str, Any] = dataclasses.field(default_factory=dict)


def find_root(folder: str, marker: str, usual: Sequence[str]) -> pathlib.Path:
    """``folder``, or one of its usual sub-folders: the first that holds ``marker``.

    Raises:
        UserError: If none does.
    """
    base = pathlib.Path(folder).expanduser()
    for root in (base, *(base / name for name in usual)):
        if (root / marker).is_dir():
            return root.resolve()
    places = ' nor '.join(str(base / name / marker) for name in ('', *usual))
    raise UserError(f'{folder}: no data of this task in it: neither {places} is there; give the folder that holds {marker}/')


def check_file(path: pathlib.Path, hint: str = '') -> None:
    """Raise a UserError, which ends with ``hint``, if there is no file ``path``."""
    if not path.is_file():
        raise UserError(f'{path}: no such file{hint}')


def check_not_empty(count: int, path: pathlib.Path) -> None:
    """Raise a UserError if ``path`` has no, that is ``count`` of 0, annotated images."""
    if not count:
        raise UserError(f'{path}: has no image with an object; give annotated images')
