"""The file of results: written after each, and gone on with."""

from __future__ import annotations

import json
import os
import pathlib
from typing import Any

import numpy as np

from gaia_ssl.errors import UserError
from gaia_ssl.files import atomic_path, read_json


class EvaluationRecord:
    """Results of one network under the same settings, in a JSON file that is whole at any time.

    Args:
        path: The file; what is in it is gone on with.
        settings: Plain values that hold for every result: network, data, what was asked for.
        value: The entry of a result that is summarised.

    Raises:
        UserError: If the file was made under other settings, or cannot be read.
    """

    def __init__(self, path: str | os.PathLike, settings: dict[str, Any], value: str = 'top1') -> None:
        self.path = pathlib.Path(path)
        self.settings = json.loads(json.dumps(settings))
        self.value = value
        self.results: list[dict[str, Any]] = []
        if self.path.is_file():
            self._read()
        else:
            self._write()

    def has(self, protocol: str, seed: int | None) -> bool:
        """Whether the result of ``protocol`` with ``seed`` is there."""
        return any((result['protocol'], result['seed']) == (protocol, seed) for result in self.results)

    def add(self, protocol: str, seed: int | None, **result: Any) -> None:
        """Add a result, with the value to summarise among its entries, and write the file."""
        self.results.append(dict(protocol=protocol, seed=seed, **result))
        self._write()

    def summary(self) -> dict[str, dict[str, float | int | None]]:
        """Of each protocol ``mean`` and ``std`` (sample standard deviation; None for one result) of the value, and ``runs``."""
        found: dict[str, list[float]] = {}
        for result in self.results:
            found.setdefault(result['protocol'], []).append(result[self.value])
        return {protocol: dict(mean=float(np.mean(values)), std=float(np.std(values, ddof=1)) if len(values) > 1 else None,
                               runs=len(values)) for protocol, values in found.items()}

    def _read(self) -> None:
        advice = 'remove it, or choose another --work-dir'
        earlier = read_json(self.path, 'a file of results', advice)
        settings, results = earlier.get('settings'), earlier.get('results')
        if not isinstance(settings, dict) or not isinstance(results, list) or not all(map(self._is_result, results)):
            raise UserError(f'{self.path}: not a file of results; {advice}')
        self.results = results
        differing = sorted(name for name in settings.keys() | self.settings.keys()
                           if settings.get(name) != self.settings.get(name))
        if differing:
            name = differing[0]
            raise UserError(f'{self.path}: made with another {name} ({settings.get(name)}, now {self.settings.get(name)}); '
                            'choose another --work-dir, or --overwrite')

    def _is_result(self, result: object) -> bool:
        return (isinstance(result, dict) and isinstance(result.get('protocol'), str)
                and isinstance(result.get('seed'), int | None) and isinstance(result.get(self.value), int | float))

    def _write(self) -> None:
        with atomic_path(self.path) as temporary:
            content = dict(settings=self.settings, results=self.results, summary=self.summary())
            temporary.write_text(json.dumps(content, indent=2) + '\n', encoding='utf-8')
