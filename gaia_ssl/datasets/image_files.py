"""The images below a folder: which there are, and what is to say of them and of what lies beside them."""

from __future__ import annotations

import collections
import dataclasses
import os
from collections.abc import Iterable, Iterator, Sequence

from gaia_ssl.errors import UserError
from gaia_ssl.file_choice import FileChoice

SYSTEM_FOLDERS = frozenset(('@eadir', 'lost+found', '__macosx', '$recycle.bin', '#recycle', 'system volume information'))
"""What file servers and systems put among a user's folders, in lower case."""
_MASKS = ('.png', '.gif', '.bmp', '.tif', '.tiff', '.pgm', '.tga')
"""Suffixes that a mask beside an image has, the likeliest first: formats that keep its values."""
_NAMED = 5
"""So many of a kind are named in a line."""


@dataclasses.dataclass
class ImageFiles:
    """What :func:`find_images` found.

    Attributes:
        paths: Of the images, inside the folder, sorted.
        others: How many files there are of each suffix that is not read.
        left_out: How many images the patterns leave out.
        skipped: Folders that are hidden or the system's.
        looped: Links to a folder that holds them.
        closed: Folders that may not be read.
    """

    paths: list[str] = dataclasses.field(default_factory=list)
    others: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    left_out: int = 0
    skipped: list[str] = dataclasses.field(default_factory=list)
    looped: list[str] = dataclasses.field(default_factory=list)
    closed: list[str] = dataclasses.field(default_factory=list)

    def not_read(self) -> str:
        """What of the folder is not read, and why, in a line; empty if it is all."""
        kinds = [
            (_counted(self.others), 'of no suffix that is read'),
            (_images(self.left_out) if self.left_out else '', 'by --include and --exclude'),
            (_named(self.skipped), 'hidden, or of the system'),
            (_named(self.looped), 'links to a folder that holds them'),
            (_named(self.closed), 'may not be opened'),
        ]
        told = '; '.join(f'{what} ({why})' for what, why in kinds if what)
        return f'not read: {told}' if told else ''


def find_images(folder: str, extensions: Sequence[str], choice: FileChoice) -> ImageFiles:
    """Look for the images below ``folder``, through links, too; hidden files are passed over.

    Args:
        folder: That is there.
        extensions: Accepted file name endings, in lower case; a file may have them in upper case.
        choice: Whose patterns an image must pass.

    Raises:
        UserError: If the folder itself may not be read.
    """
    found, endings = ImageFiles(), tuple(extensions)
    for path in _walk(folder, found):
        if not path.lower().endswith(endings):
            found.others[os.path.splitext(path)[1].lower() or 'without suffix'] += 1
        elif choice.takes(path):
            found.paths.append(path)
        else:
            found.left_out += 1
    found.paths.sort()
    return found


def _walk(folder: str, found: ImageFiles) -> Iterator[str]:
    """Paths of all files, inside ``folder``; what is passed over goes into ``found``."""
    todo: list[tuple[str, tuple[str, ...]]] = [('', (os.path.realpath(folder), ))]
    while todo:
        inside, above = todo.pop()
        try:
            with os.scandir(os.path.join(folder, inside) if inside else folder) as entries:
                listed = list(entries)
        except OSError as error:
            if not inside:
                raise UserError(f'{folder}: may not be opened ({error.strerror}); see to its permissions') from error
            found.closed.append(inside)
            continue
        for entry in listed:
            path = f'{inside}/{entry.name}' if inside else entry.name
            if _is_folder(entry):
                real = os.path.realpath(entry.path) if entry.is_symlink() else os.path.join(above[-1], entry.name)
                if is_skipped(entry.name):
                    found.skipped.append(path)
                elif real in above:
                    found.looped.append(path)
                else:
                    todo.append((path, (*above, real)))
            elif not entry.name.startswith('.'):
                yield path


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # links in a circle
        return False


def is_skipped(name: str) -> bool:
    """Whether a folder of this name is hidden or the system's, and thus holds none of the user's images."""
    return name.startswith('.') or name.lower() in SYSTEM_FOLDERS


def describe_images(paths: Iterable[str], folder: str) -> str:
    """E.g. ``2,688 images: 1,344 .jpg, 1,344 .png in photos``."""
    suffixes = collections.Counter(os.path.splitext(path)[1].lower() for path in paths)
    return f'{_images(suffixes.total())}: {_counted(suffixes)} in {folder}'


def describe_masks(paths: Sequence[str]) -> str:
    """What to say of images that differ from another in their suffix alone; empty if there is none."""
    if len({os.path.splitext(path)[0] for path in paths}) == len(paths):  # for millions, quicker than what follows
        return ''
    by_stem = collections.defaultdict(list)
    for path in paths:
        by_stem[os.path.splitext(path)[0]].append(path)
    doubles = [sorted(names) for names in by_stem.values() if len(names) > 1]
    suffixes = {os.path.splitext(name)[1] for names in doubles for name in names}
    of_masks = [suffix for known in _MASKS for suffix in sorted(suffixes) if suffix.lower() == known]
    advised = (of_masks or sorted(suffixes))[0]
    return (f'{len(doubles):,} of the images lie beside another of the same name, as masks do (first of all '
            f"{' and '.join(min(doubles))}); if they are masks, leave them out with --exclude '*{advised}'")


def _images(count: int) -> str:
    return f'{count:,} image{"s" * (count != 1)}'


def _counted(numbers: collections.Counter[str]) -> str:
    common = numbers.most_common(_NAMED)
    rest = numbers.total() - sum(number for _, number in common)
    return ', '.join([f'{number:,} {name}' for name, number in common] + ([f'{rest:,} others'] if rest else []))


def _named(paths: Sequence[str]) -> str:
    names = sorted(paths)
    return ', '.join(names[:_NAMED]) + (f' and {len(names) - _NAMED} more' if len(names) > _NAMED else '')
