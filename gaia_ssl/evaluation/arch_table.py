"""CSV tables with a row an arch, as the project writes them or a user brings them."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np
import pandas as pd

from gaia_ssl.errors import UserError
from gaia_ssl.space import Arch, ArchSpace


def read_arch_table(path: str | os.PathLike, numbers: Sequence[str], texts: Sequence[str] = (),
                    optional: Sequence[str] = ()) -> pd.DataFrame:
    """Read the columns ``arch``, ``texts`` and ``numbers`` of a CSV file, and what it has of the ``optional`` numbers.

    Raises:
        UserError: If the file cannot be read, or lacks a column; if it has no rows, a text that is no arch, an arch twice,
            or a number that is none or not finite, with the line of the first.
    """
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, skipinitialspace=True)
    except OSError as error:
        raise UserError(f'{path}: cannot be read ({error.strerror}); give a CSV file') from error
    except (ValueError, pd.errors.ParserError) as error:  # of pandas: empty, or no CSV; UnicodeDecodeError
        raise UserError(f"{path}: not a CSV file that can be read ({' '.join(str(error).split())})") from error
    if missing := [name for name in ('arch', *texts, *numbers) if name not in table]:
        raise UserError(f"{path}: has no column '{missing[0]}', but {', '.join(table.columns)}; name them in the first line")
    if not len(table):
        raise UserError(f'{path}: has no rows; give a row an arch')
    archs = []
    for line, text in enumerate(table['arch'], start=2):
        try:
            archs.append(str(Arch.parse(text)))
        except UserError as error:
            raise UserError(f'{path}, line {line}: {error}') from error
    table = table.assign(arch=archs)
    if table['arch'].duplicated().any():
        row = int(np.argmax(table['arch'].duplicated()))
        raise UserError(f'{path}, line {row + 2}: {archs[row]} is there twice; give each arch once')
    numbers = [*numbers, *(name for name in optional if name in table)]
    for name in numbers:
        values = np.array([_number(text) for text in table[name]])
        if not np.isfinite(values).all():
            row = int(np.argmin(np.isfinite(values)))
            raise UserError(f"{path}, line {row + 2}: the {name} of {archs[row]} is '{table[name][row]}'; give a finite number")
        table[name] = values
    return table[['arch', *texts, *numbers]]


def read_scores(path: str | os.PathLike, space: ArchSpace | None = None) -> pd.DataFrame:
    """Downstream scores: the columns ``arch`` and ``score``.

    Args:
        path: A CSV file.
        space: The archs must lie in it.

    Raises:
        UserError: As :func:`read_arch_table`; if an arch lies outside the space; if all scores are the same.
    """
    table = read_arch_table(path, ['score'])
    if space is not None:
        for arch in table['arch']:
            try:
                space.index(Arch.parse(arch))
            except UserError as error:
                raise UserError(f'{path}: {error}') from error
    if len(table) > 1 and table['score'].nunique() == 1:
        raise UserError(f"{path}: all {len(table)} scores are {table['score'][0]:g}, so that no correlation is defined")
    return table


def _number(text: str) -> float:
    """To the bit what was written (pandas' own conversion is not); NaN for no number."""
    try:
        return float(text)
    except ValueError:
        return np.nan
