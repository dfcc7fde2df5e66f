"""Configs as files. What is put into one is data: it is never read as a template or as code, however often it is written.

mmengine substitutes ``{{ … }}`` in the text of a config before it runs it, and writes the values of every run into the work dir
and the checkpoints, from where its tools and those of the toolboxes read them again. Escaping the braces here would thus only
last until then, so that a text with ``{{`` is refused before it gets into a config.
"""

from __future__ import annotations

import os
import pathlib
import secrets
from collections.abc import Iterator
from typing import Any

from mmengine.config import Config

from gaia_ssl.errors import UserError
from gaia_ssl.files import atomic_path
from gaia_ssl.terminal import one_line

TEMPLATE = '{{'
"""How each of mmengine's templates begins."""
_PLAIN = (str, int, float, bool, type(None))
_HEAD = """import os

__folder__ = os.path.dirname((lambda: 0).__code__.co_filename)  # this file's, wherever it is moved to

"""


def check_text(text: str, what: str) -> None:
    """Refuse a text that mmengine would run as code if a config held it.

    Args:
        text: From outside: a path, or the name of a class.
        what: What it is, for the error.

    Raises:
        UserError: If :data:`TEMPLATE` is in it.
    """
    if TEMPLATE in text:
        shown = one_line(text)
        shown = shown if len(shown) <= 200 else f'{shown[:200]}…'
        raise UserError(f"{what} has '{TEMPLATE}' in it, which OpenMMLab's configs take for code; rename it: {shown}")


def check_config(config: Config) -> None:
    """:func:`check_text` of everything in a config, whose names of settings are not quoted where mmengine writes them.

    Raises:
        UserError: If a text in it would be read as a template, or the name of a setting as anything else.
    """
    for place, value in _leaves(config.to_dict(), 'config'):
        if isinstance(value, str):
            check_text(value, place)


def write_config(config: Config, path: str | os.PathLike, beside: str | os.PathLike | None = None) -> None:
    """Write a config as a Python file, atomically, once it is sure that mmengine reads from it what ``config`` holds.

    Args:
        config: Plain values alone.
        path: The file.
        beside: A checkpoint that ``config`` loads. The file names it as lying beside itself, so that both may be moved.

    Raises:
        UserError: If a text would be read as a template, a value is none of a config, or what is read again differs.
    """
    check_config(config)
    path, values = pathlib.Path(os.path.abspath(path)), config.to_dict()
    for place, value in _leaves(values, 'config'):
        if type(value) not in _PLAIN:
            raise UserError(f'{path}: {place} is of type {type(value).__name__}, which no config holds')
    with atomic_path(path) as temporary:
        try:
            if beside is None:
                text = config.pretty_text
            else:
                name, placeholder = os.path.basename(beside), secrets.token_hex(16)
                text = Config(_with_checkpoint(values, os.fspath(beside), placeholder)).pretty_text
                text = _HEAD + text.replace(repr(placeholder), f'os.path.join(__folder__, {name!r})')
                values = _with_checkpoint(values, os.fspath(beside), str(path.parent / name))
            check_text(text, 'the config')
            temporary.write_text(text, encoding='utf-8')
            same = Config.fromfile(temporary).to_dict() == values
        except (SyntaxError, NameError, TypeError, ValueError, KeyError) as error:
            reason = one_line(str(error))[:200]
            raise UserError(f'{path}: a value is none of a config ({type(error).__name__}: {reason})') from error
        if not same:
            raise UserError(f'{path}: mmengine would read other values from it; give files and classes plainer names')


def _leaves(value: Any, place: str) -> Iterator[tuple[str, Any]]:
    """Everything in nested values that does not hold other values, and where it is."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if type(key) not in _PLAIN or TEMPLATE in str(key) or repr(str(key)) != f"'{key}'":
                raise UserError(f'{place} has a setting called {one_line(str(key))!r}; give it another name')
            yield from _leaves(inner, f'{place}.{key}')
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _leaves(inner, place)
    else:
        yield place, value


def _with_checkpoint(value: Any, old: str, new: str) -> Any:
    """Nested values with another path wherever ``checkpoint`` is ``old``."""
    if isinstance(value, dict):
        return {key: new if key == 'checkpoint' and inner == old else _with_checkpoint(inner, old, new)
                for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_with_checkpoint(inner, old, new) for inner in value)
    return value
