"""What the tools print. Names of files, folders and classes are data: they neither mark up a line nor steer a terminal."""

from __future__ import annotations

import logging
import pathlib
import re
from typing import Any

from rich.console import Console
from rich.text import Text

_STEERING = re.compile('[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]')
"""Control characters but tab and newline, those that turn the direction of writing, and bytes that are no UTF-8."""


def plain(text: str) -> str:
    r"""``text`` with control characters, and what else a terminal would obey or cannot show, written out.

    Example:
        >>> print(plain('a\x1b[2Jb'))
        a\x1b[2Jb
    """
    return _STEERING.sub(lambda match: ascii(match.group())[1:-1], text)


def one_line(text: str) -> str:
    r""":func:`plain`, with newlines and tabs written out, too."""
    return plain(text).replace('\n', r'\n').replace('\t', r'\t')


def say(text: object) -> None:
    """Print a line, :func:`plain`."""
    print(plain(str(text)), flush=True)


class PlainConsole(Console):
    """A rich console that shows every text as it is, in tables and captions, too; styles are given as such.

    Args:
        min_width: Columns to have at least; a narrower terminal wraps them.
        **kwargs: Of :class:`rich.console.Console`.
    """

    def __init__(self, min_width: int = 0, **kwargs: Any) -> None:
        super().__init__(markup=False, emoji=False, highlight=False, **kwargs)
        if self.width < min_width:
            self.width = min_width

    def render_str(self, text: str, **kwargs: Any) -> Text:
        """Text that is :func:`plain`."""
        return super().render_str(plain(text), **kwargs)


_PACKAGE = str(pathlib.Path(__file__).resolve().parent)
_NOISE = ('"FileClient" will be deprecated', '"HardDiskBackend" is the alias', 'Distributed training is not used')
"""How lines begin that other packages say at every start and that nobody can act on."""


def worth_showing(record: logging.LogRecord) -> bool:
    """A filter for handlers that write to a terminal: all of gaia_ssl's records, errors, and of others those of one line.

    What mmengine's Runner says of the environment, the config and the order of hooks takes hundreds of lines.
    """
    if record.levelno >= logging.ERROR or record.pathname.startswith(_PACKAGE):
        return True
    text = record.getMessage()
    return '\n' not in text.strip() and not text.startswith(_NOISE) and bool(text.strip())


def plain_record(record: logging.LogRecord) -> bool:
    """A filter for handlers of a logger: every message is :func:`plain`."""
    record.msg, record.args = plain(record.getMessage()), ()
    return True
