"""The winner of a search, from its ``best.json``."""

from __future__ import annotations

import dataclasses
import os
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

from gaia_ssl.checkpoint import file_hash
from gaia_ssl.errors import UserError
from gaia_ssl.files import read_json
from gaia_ssl.models.checkpoint_values import is_file_choice, is_number
from gaia_ssl.search.task import TASKS
from gaia_ssl.space import Arch

_WHAT = 'a best.json of tools/search.py'


def _is_table(value: object) -> bool:
    return isinstance(value, dict)


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_count(value: object) -> bool:
    return value is None or (type(value) is int and value >= 0)


_SEARCH = dict(checkpoint_sha256=(_is_text, 'a text'), images=(_is_count, 'a count'), resolution=(_is_count, 'a count'),
               files=(lambda value: value is None or is_file_choice(value), 'a choice of files'))
_SCORES = dict(arch=(_is_text, 'a text'), similarity=(is_number, 'a finite number'), contenders=(_is_count, 'a count'),
               low=(lambda value: value is None or is_number(value), 'a finite number'),
               high=(lambda value: value is None or is_number(value), 'a finite number'))
"""Entry -> what is allowed, and what that is."""


@dataclasses.dataclass(frozen=True)
class Winner:
    """The best arch of a group.

    Attributes:
        arch: It.
        features: Which features were compared.
        group: Its budget, e.g. ``3-4G``.
        scores: Its line in ``best.json``: ``similarity``, ``low``, ``high``, ``contenders``, …
        search: How it was found, as ``best.json`` says.
    """

    arch: Arch
    features: str
    group: str
    scores: dict[str, Any]
    search: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """In plain values."""
        return dict(features=self.features, group=self.group, scores=self.scores, search=self.search)


def read_winner(path: str | os.PathLike, checkpoint: str | os.PathLike, features: Sequence[str], group: str | None) -> Winner:
    """The winner of ``group`` for ``features``.

    Args:
        path: ``best.json``, or the folder that holds it.
        checkpoint: The supernet's, which must be the one searched.
        features: Which features' winner; where several are given, all must have the same. None given is fine where the search
            compared one set of features.
        group: Its name, of which the unit may be left out; None where there is but one.

    Raises:
        UserError: If there is no such file, features or group, an entry is of another type, the winners differ, or the search
            was of another checkpoint.
    """
    path = pathlib.Path(path)
    path = path / 'best.json' if path.is_dir() else path
    if not path.is_file():
        raise UserError(f'{path}: no such file; give the best.json that tools/search.py wrote')
    content = read_json(path, _WHAT, 'search again')
    best, search = (_entry(path, content, name, _is_table, 'a table') for name in ('best', 'search'))
    for name, (allowed, kind) in _SEARCH.items():
        _entry(path, search, name, allowed, kind)
    names = list(features) or list(best)
    if unknown := [name for name in names if name not in TASKS]:
        raise UserError(f"{path}: not {_WHAT}: there are no features '{unknown[0]}'; search again")
    if search['checkpoint_sha256'] != file_hash(checkpoint):
        raise UserError(f"{path}: ranks the subnets of {search.get('checkpoint')}, not of {checkpoint}; give that checkpoint")
    if not features and len(names) != 1:
        raise UserError(f"{path}: has winners for {', '.join(best)}; say which with --features")
    winners = [_winner(path, best, search, name, group) for name in names]
    if len({winner.arch for winner in winners}) > 1:
        each = ', '.join(f'{winner.features}: {winner.arch}' for winner in winners)
        raise UserError(f'{path}: these tasks have different winners ({each}); export each task into a folder of its own, or '
                        'choose with --features')
    return winners[0]


def _winner(path: pathlib.Path, best: dict, search: dict, features: str, group: str | None) -> Winner:
    if features not in best:
        raise UserError(f"{path}: has no winner for {features}, but for {', '.join(best)}; search with --task "
                        f"{features}, or take another features' winner with --features")
    groups = _entry(path, best, features, _is_table, 'a table')
    matching = list(groups) if group is None else [name for name in groups if group in (name, name.rstrip('GM'))]
    if len(matching) != 1:
        problem = 'has several groups' if group is None else f"has no group '{group}'"
        raise UserError(f"{path}: {problem}; give --group with one of {', '.join(groups)}")
    scores = dict(_entry(path, groups, matching[0], _is_table, 'a table'))
    for name, (allowed, kind) in _SCORES.items():
        _entry(path, scores, name, allowed, kind)
    try:
        return Winner(Arch.parse(scores.pop('arch')), features, matching[0], scores, search)
    except UserError as error:
        raise UserError(f'{path}: {error}') from error


def _entry(path: pathlib.Path, table: dict, name: str, allowed: Callable[[Any], bool], kind: str) -> Any:
    """``table[name]``, or None if it is missing, where that is ``allowed``; what else is not is a UserError."""
    if not allowed(table.get(name)):
        raise UserError(f"{path}: not {_WHAT}: its '{name}' is not {kind}; search again")
    return table.get(name)
