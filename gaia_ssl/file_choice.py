"""Which files of a folder are meant: patterns of names, or a list."""

from __future__ import annotations

import dataclasses
import fnmatch
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from gaia_ssl.errors import UserError


@dataclasses.dataclass(frozen=True)
class FileChoice:
    """Patterns as of a shell (``*``, ``?``, ``[…]``), in lower or upper case.

    One without a slash is for the name, whatever folder the file is in; one with a slash for the path inside the folder of
    images, or for the end of it: ``masks/*`` is all that lies in, or below, any folder ``masks``.

    Attributes:
        include: If there is one, only files that one of these matches.
        exclude: No file that one of these matches.
        listed: A file that lists the images, a path a line; empty for all in the folder.

    Example:
        >>> FileChoice(exclude=('*.png', 'masks/*')).takes('a/masks/x.jpg')
        False
    """

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    listed: str = ''

    @classmethod
    def of(cls, settings: Mapping[str, Any] | None) -> FileChoice:
        """What a data set's config, a checkpoint or a search says: ``include``, ``exclude`` and ``ann_file``."""
        settings = settings or {}
        listed = settings.get('ann_file') or ''
        if not isinstance(listed, str):
            raise UserError(f'ann_file is {listed!r}; give the file that lists the images')
        return cls(_patterns(settings, 'include'), _patterns(settings, 'exclude'), listed)

    def __bool__(self) -> bool:
        """Whether it leaves anything out."""
        return self != ALL_FILES

    def takes(self, path: str) -> bool:
        """Whether the file ``path``, inside the folder of images, is meant by the patterns."""
        return (not self.include or _matches(path, self.include)) and not _matches(path, self.exclude)

    @property
    def patterns(self) -> FileChoice:
        """The same without the list."""
        return dataclasses.replace(self, listed='')

    def arguments(self) -> dict[str, Any]:
        """Of :class:`gaia_ssl.datasets.ImageFolder`, in plain values; what is not used is left out."""
        named = dict(include=list(self.include), exclude=list(self.exclude), ann_file=self.listed)
        return {name: value for name, value in named.items() if value}

    def options(self) -> list[str]:
        """The words of a command line that say the same."""
        words = [word for name in ('include', 'exclude') for pattern in getattr(self, name) for word in (f'--{name}', pattern)]
        return [*words, *(['--list', self.listed] if self.listed else [])]

    def __str__(self) -> str:
        return shlex.join(self.options()) or 'all images'


ALL_FILES = FileChoice()


def _patterns(settings: Mapping[str, Any], name: str) -> tuple[str, ...]:
    given = settings.get(name) or ()
    patterns: Sequence[Any] = (given, ) if isinstance(given, str) else given
    if not isinstance(patterns, list | tuple) or not all(isinstance(each, str) and each for each in patterns):
        raise UserError(f"{name} is {given!r}; give patterns of file names, such as '*.png'")
    return tuple(patterns)


def _matches(path: str, patterns: Sequence[str]) -> bool:
    path = path.lower()
    name = path.rpartition('/')[2]
    for pattern in map(str.lower, patterns):
        if '/' not in pattern:
            if fnmatch.fnmatchcase(name, pattern):
                return True
        elif fnmatch.fnmatchcase(path, pattern) or fnmatch.fnmatchcase(path, f'*/{pattern}'):
            return True
    return False
