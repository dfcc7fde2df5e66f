"""The measures of some subnets in the course of a training: a table on disk, and a picture of it."""

from __future__ import annotations

import os
import pathlib

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from gaia_ssl.errors import UserError
from gaia_ssl.evaluation.subnet_judge import MEASURES
from gaia_ssl.files import atomic_path

COLUMNS = ['epoch', 'iter', 'subnet', 'arch', *MEASURES]


class JudgeHistory:
    """A CSV with a row a subnet each time: ``epoch``, ``iter``, ``subnet`` (its name), ``arch``, and a column a measure.

    It is written whole, so that a crash leaves the earlier one.

    Args:
        path: The file; its picture gets the same name with ``.png``.
        until: Keep what an earlier run measured up to this iteration. What lies after it happens anew, and at 0 all does.

    Raises:
        UserError: If the file is to be gone on with and is no such table.
    """

    def __init__(self, path: str | os.PathLike, until: int = 0) -> None:
        self.path = pathlib.Path(path)
        self.rows = pd.DataFrame(columns=COLUMNS)
        if until > 0 and self.path.exists():
            rows = _read(self.path)
            self.rows = rows[rows['iter'] <= until]

    def has(self, iteration: int) -> bool:
        """Whether there are measures of this iteration."""
        return bool((self.rows['iter'] == iteration).any())

    def add(self, rows: list[dict]) -> None:
        """Append ``rows``, each with the keys of the columns (measures may be missing), and write the file."""
        new = pd.DataFrame(rows, columns=COLUMNS)
        self.rows = pd.concat([self.rows, new], ignore_index=True) if len(self.rows) else new
        with atomic_path(self.path) as temporary:
            self.rows.to_csv(temporary, index=False)

    def plot(self, by: str = 'epoch') -> None:
        """Draw a panel a measure, a line a subnet, over the column ``by``: ``'epoch'`` or ``'iter'``."""
        measures = [name for name in MEASURES if self.rows[name].notna().any()] or ['std']
        figure = Figure(figsize=(5.2 * len(measures), 4.6), layout='constrained')
        axes = figure.subplots(1, len(measures), squeeze=False)[0]
        for axis, measure in zip(axes, measures, strict=True):
            for (subnet, arch), rows in self.rows.groupby(['subnet', 'arch'], sort=False):
                label = arch if subnet == arch else f'{subnet}: {arch}'
                axis.plot(rows[by].astype(float), rows[measure].astype(float), marker='.', label=label)
            title, unit = MEASURES[measure]
            axis.set_title(title)
            axis.set_ylabel(unit)
            axis.set_xlabel('epochs' if by == 'epoch' else 'iterations')
            axis.set_ylim(bottom=0)
            axis.xaxis.set_major_locator(MaxNLocator(integer=True))
            axis.grid(alpha=0.3)
        figure.suptitle('Subnets while the supernet trains')
        figure.legend(*axes[0].get_legend_handles_labels(), loc='outside lower center', ncols=2, fontsize='small')
        with atomic_path(self.path.with_suffix('.png')) as temporary:
            figure.savefig(temporary, dpi=120)


def _read(path: pathlib.Path) -> pd.DataFrame:
    try:
        rows = pd.read_csv(path, float_precision='round_trip')
        whole = list(rows.columns) == COLUMNS and pd.api.types.is_integer_dtype(rows['iter'])
    except (ValueError, UnicodeDecodeError):  # pandas' ParserError and EmptyDataError are ValueErrors
        whole = False
    if not whole:
        raise UserError(f'{path}: not a history of judged subnets, or cut short; move it away to begin a new one')
    return rows
