"""The winner of a search, from its ``best.json``."""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
from collections.abc import Sequence
from typing import Any

from gaia_ssl.checkpoint import file_hash
from gaia_ssl.errors import UserError
from gaia_ssl.space import Arch


@dataclasses.dataclass(frozen=True)
class Winner:
    """The best arch of a group.

    Attributes:
        arch: It.
        features: Which features were compared.
        group: Its budget, e.g. ``3-4G``.
        scores: Its line in ``best.json``: ``similarity``, ``low``, ``high``, ``tied``, …
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
        UserError: If there is no such file, features or group, the winners differ, or the search was of another checkpoint.
    """
    path = pathlib.Path(path)
    path = path / 'best.json' if path.is_dir() else path
    if not path.is_file():
        raise UserError(f'{path}: no such file; give the best.json that tools/search.py wrote')
    try:
        content = json.loads(path.read_text(encoding='utf-8'))
        best, search = content['best'], content['search']
        searched = search['checkpoint_sha256']
        names = list(features) or list(best)
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f'{path}: not a best.json of tools/search.py ({type(error).__name__}: {error})') from error
    if searched != file_hash(checkpoint):
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
        raise UserError(f"{path}: has no winner for {features}, but for {', '.join(best)}; search with test_cfg.tasks="
                        f"['{features}'], or take another features' winner with --features")
    groups = best[features]
    matching = list(groups) if group is None else [name for name in groups if group in (name, name.rstrip('GM'))]
    if len(matching) != 1:
        problem = 'has several groups' if group is None else f"has no group '{group}'"
        raise UserError(f"{path}: {problem}; give --group with one of {', '.join(groups)}")
    scores = dict(groups[matching[0]])
    return Winner(Arch.parse(scores.pop('arch', None)), features, matching[0], scores, search)
