"""Finds ``mmcv._ext`` where nothing else does. Imports no torch, for it runs whenever Python starts."""

import importlib.util
import pathlib
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType

EXTENSION = 'mmcv._ext'


class Finder:
    """The last entry of ``sys.meta_path``: it is asked only for what no other finder has."""

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name != EXTENSION:
            return None
        return importlib.util.spec_from_file_location(name, pathlib.Path(__file__).with_name('extension.py'))


def register() -> None:
    """Put :class:`Finder` at the end of ``sys.meta_path``, once."""
    if not any(getattr(finder, '__module__', None) == __name__ for finder in sys.meta_path):
        sys.meta_path.append(Finder)
