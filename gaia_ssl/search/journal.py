"""Scores on disk as they are computed, so that a search that was stopped goes on where it was."""

from __future__ import annotations

import json
import os
import pathlib
from typing import Any

import numpy as np

from gaia_ssl.errors import UserError
from gaia_ssl.files import atomic_path


class ScoreJournal:
    """A folder with one file of scores an image batch, and the settings under which they are comparable.

    Args:
        folder: Where the files are; made if missing.
        settings: Plain values that decide the scores. A folder begun under other settings is refused.

    Raises:
        UserError: If the folder holds scores of other settings.
    """

    def __init__(self, folder: str | os.PathLike, settings: dict[str, Any]) -> None:
        self._folder = pathlib.Path(folder)
        path = self._folder / 'settings.json'
        settings = json.loads(json.dumps(settings))
        if path.is_file():
            earlier = json.loads(path.read_text(encoding='utf-8'))
            differing = [key for key in {**settings, **earlier} if settings.get(key) != earlier.get(key)]
            if differing:
                each = '; '.join(f'{key} was {_short(earlier.get(key))}, now {_short(settings.get(key))}' for key in differing)
                raise UserError(f'{self._folder} holds scores of another search ({each}); use --overwrite or another folder')
        else:
            with atomic_path(path) as temporary:
                temporary.write_text(json.dumps(settings), encoding='utf-8')

    def __contains__(self, batch: int) -> bool:
        return self._path(batch).is_file()

    def write(self, batch: int, scores: np.ndarray) -> None:
        """Keep the scores of an image batch, ``(A, F, N)``."""
        with atomic_path(self._path(batch)) as temporary:
            np.save(temporary, scores, allow_pickle=False)

    def read(self, batches: int) -> np.ndarray:
        """All images' scores, ``(A, F, sum of N)``, in the order of the batches."""
        return np.concatenate([np.load(self._path(batch), allow_pickle=False) for batch in range(batches)], axis=2)

    def _path(self, batch: int) -> pathlib.Path:
        return self._folder / f'batch_{batch:05d}.npy'


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 60 else f'{text[:57]}…'
