"""Bookkeeping of image files that cannot be decoded."""

from __future__ import annotations

from collections.abc import Iterable

from gaia_ssl.errors import UserError


class UnreadableImages:
    """The distinct unreadable files met so far, and the share of the data above which a run must stop.

    Args:
        max_unreadable: The largest share of unreadable files to accept, in [0, 1].
        total: The number of files in the data set.

    Example:
        >>> unreadable = UnreadableImages(max_unreadable=0.5, total=4)
        >>> unreadable.update(['a.jpg', 'a.jpg'])
        ['a.jpg']
        >>> unreadable.summary()
        '1 of 4 images (25.0%) cannot be read: a.jpg'
    """

    def __init__(self, max_unreadable: float, total: int) -> None:
        if not 0 <= max_unreadable <= 1:
            raise UserError(f'UnreadableImages: max_unreadable={max_unreadable} is no share: give a number from 0 to 1')
        self.max_unreadable = max_unreadable
        self.total = total
        self.paths: dict[str, None] = {}  # a set that keeps the order

    def update(self, paths: Iterable[str]) -> list[str]:
        """Add paths and return those not seen before, in order.

        Raises:
            UserError: If more than ``max_unreadable`` of all files are unreadable by now.
        """
        new = [path for path in dict.fromkeys(paths) if path not in self.paths]
        self.paths.update(dict.fromkeys(new))
        if len(self.paths) > self.max_unreadable * self.total:
            raise UserError(f'{self.summary()}: more than max_unreadable={self.max_unreadable:.2%}: '
                            'mend or remove these files, or raise max_unreadable')
        return new

    def summary(self) -> str:
        """Return one line: how many, which share, and all paths; an empty string if all could be read."""
        count = len(self.paths)
        if count == 0:
            return ''
        return (f'{count} of {self.total} images ({count / self.total:.1%}) cannot be read: '
                f'{", ".join(self.paths)}')
