"""Scores of subnets on disk as they come, so that judging goes on where it was stopped."""

from __future__ import annotations

import fcntl
import json
import os
import pathlib
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from typing import Any

import pandas as pd

from gaia_ssl.errors import UserError
from gaia_ssl.evaluation.arch_table import read_arch_table
from gaia_ssl.files import atomic_path, read_json
from gaia_ssl.progress import Progress
from gaia_ssl.space import Arch
from gaia_ssl.terminal import say

HEADER = 'arch,score\n'


class ScoreFile:
    """A CSV file of ``arch,score`` that lines are appended to, and beside it the settings under which they hold.

    A last line that a crash cut short is dropped.

    Args:
        path: ``NAME.csv``; the settings are in ``NAME.json``.
        settings: Plain values that decide the scores. A file begun under others is refused.

    Raises:
        UserError: If the file holds scores of other settings or is damaged, or another process is writing it.
    """

    def __init__(self, path: str | os.PathLike, settings: dict[str, Any]) -> None:
        self.path = pathlib.Path(path)
        self._check_settings(json.loads(json.dumps(settings)))
        self._file = self.path.open('a+b', buffering=0)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._file.close()
            raise UserError(f'{self.path}: another process is writing here; wait for it, or choose another folder') from error
        self._file.seek(0)
        content = self._file.read()
        self._file.truncate(content.rfind(b'\n') + 1)
        if b'\n' not in content:
            self._append(HEADER)
        self.scores = self._read()

    def _check_settings(self, settings: dict[str, Any]) -> None:
        beside = self.path.with_suffix('.json')
        if beside.is_file():
            earlier = read_json(beside, 'the settings of scores', 'use --overwrite or another folder')
            if differing := [key for key in {**settings, **earlier} if settings.get(key) != earlier.get(key)]:
                each = '; '.join(f'{key} was {earlier.get(key)}, now {settings.get(key)}' for key in differing)
                raise UserError(f'{self.path} holds other scores ({each}); use --overwrite or another folder')
        elif self.path.exists():
            raise UserError(f'{self.path}: its settings in {beside.name} are missing; use --overwrite or another folder')
        else:
            with atomic_path(beside) as temporary:
                temporary.write_text(json.dumps(settings, indent=2), encoding='utf-8')

    def _read(self) -> dict[str, float]:
        if self.path.stat().st_size == len(HEADER):
            return {}
        table = read_arch_table(self.path, ['score'])
        return dict(zip(table['arch'], table['score'], strict=True))

    def add(self, arch: str, score: float) -> None:
        """Append a score; no crash can take it back."""
        self._append(f'{arch},{score!r}\n')
        self.scores[arch] = score

    def _append(self, line: str) -> None:
        self._file.write(line.encode())
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def keep_scores(archs: Sequence[Arch], names: Sequence[str], compute: Callable[[Arch, Sequence[str]], dict[str, float]],
                folder: str | os.PathLike, settings: dict[str, Any], what: str = 'subnets',
                report: Callable[[str], None] = say) -> pd.DataFrame:
    """Scores of archs, each kept in ``folder`` as it comes, so that the next call computes what is missing.

    Args:
        archs: To score.
        names: Of the scores; each has a file.
        compute: Gives an arch's scores of the given names.
        folder: Of the files.
        settings: Plain values that decide the scores.
        what: Is scored, for the line of progress.
        report: Where progress goes.

    Returns:
        A row an arch: ``arch`` and a column a score.

    Raises:
        UserError: As :class:`ScoreFile`.
    """
    with ExitStack() as stack:
        files = {name: stack.enter_context(closing(ScoreFile(pathlib.Path(folder, f'{name}.csv'), settings))) for name in names}
        missing = {arch: lacks for arch in archs if (lacks := [name for name in names if str(arch) not in files[name].scores])}
        if len(missing) < len(archs):
            report(f'{len(archs) - len(missing)} of {len(archs)} {what} are scored already')
        weights = {arch: arch.flops() for arch in missing}  # in proportion to the time
        progress = Progress(len(missing), what, report, total_weight=sum(weights.values()))
        for arch, lacks in missing.items():
            for name, value in compute(arch, lacks).items():
                files[name].add(str(arch), value)
            progress.advance(weight=weights[arch])
        return pd.DataFrame([dict(arch=str(arch), **{name: files[name].scores[str(arch)] for name in names}) for arch in archs])
