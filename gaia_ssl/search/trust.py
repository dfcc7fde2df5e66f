"""How far the winners of a search can be trusted: intervals over images, ties, and what simpler choices would have given."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from rich.box import SIMPLE
from rich.table import Table
from scipy.stats import spearmanr

from gaia_ssl.errors import UserError
from gaia_ssl.search.ranking import winners
from gaia_ssl.terminal import PlainConsole

TIED_SHOWN = 20
"""So many tied archs are named."""

LOW_AGREEMENT = 0.5
"""Spearman correlation between halves of the images below which :func:`warnings_of` warns."""

BLOCK_VALUES = 2**20
"""Float64 values that one temporary array may hold, 8 MiB."""

COLUMNS = (
    'task', 'group', 'archs', 'arch', 'flops', 'params', 'latency_ms', 'similarity', 'low', 'high', 'tied', 'tied_archs',
    'cheapest_tied', 'distinguishable', 'half_agreement', 'most_flops_arch', 'most_flops_similarity', 'gain_most_flops',
    'gain_most_flops_low', 'gain_most_flops_high', 'random_similarity', 'gain_random', 'gain_random_low', 'gain_random_high',
    'images', 'level',
)
"""Of an assessment; ``latency_ms`` only if the ranking has it."""

ScoresOf = Callable[[str, np.ndarray], np.ndarray]


def assess_winners(ranking: pd.DataFrame, tasks: Sequence[str], scores_of: ScoresOf, seed: int = 0, resamples: int = 1000,
                   level: float = 0.95) -> pd.DataFrame:
    """Compare the winner of each group with the group's other archs, by a percentile bootstrap over images.

    All comparisons are paired: of one resample, every arch is averaged over the same images. An arch is tied with the winner
    if the interval of their difference contains 0.

    What it does and does not say:

    - ``distinguishable`` needs no correction for the number of archs: a winner that two-sided tests tell from each other
      arch is the best at that level, however the archs correlate (arXiv 2503.01065).
    - ``tied`` compares one by one. Of hundreds of nearly equal archs, some are told from the luckiest of them, and the truly
      best may be one of these: the tied archs are good ones, not all that may be best.
    - The winner is the best of many on these same images, so that its similarity, interval and gains are optimistic. The
      ties and the agreement of the halves are the remedy.
    - The images of a batch share batch-norm statistics, thus are not quite independent: intervals are somewhat too narrow,
      and the halves, which share their batches, agree somewhat too well; more so by measures between images, which make an
      image's score of all others of its batch. Below about 20 images, too, intervals are narrow.

    Memory: ``16 * resamples * N`` bytes for the weights of the resamples, about 30 MB for a block of archs, and what
    ``scores_of`` holds. It does not grow with the number of archs.

    Args:
        ranking: As :func:`~gaia_ssl.search.ranking.make_ranking` makes it, A rows in any order; optionally ``latency_ms``.
        tasks: Columns of ``ranking`` to assess.
        scores_of: ``(task, rows) -> (len(rows), N)``: the similarity of each image, for rows of the ranking by position. The
            ranking's column is its mean. N is the same in every call.
        seed: Of the resamples.
        resamples: Number of them.
        level: Of the intervals, between 0 and 1.

    Returns:
        A row a task and group that holds an arch, in the order of :func:`~gaia_ssl.search.ranking.winners`:

        - ``task``, ``group``, ``archs`` (members), and the winner's ``arch``, ``flops``, ``params``, ``latency_ms``;
        - ``similarity`` of the winner and its interval ``low``, ``high``;
        - ``tied``: number of other archs tied with the winner; ``tied_archs``: up to 20 of them, best first;
          ``cheapest_tied``: of them and the winner, the one of least ``latency_ms`` (or else FLOPs);
        - ``distinguishable``: no arch is tied;
        - ``half_agreement``: Spearman correlation, over the archs, of the means over even and over odd images; NaN for less
          than 3 archs or 2 images, or if a half does not tell the archs apart;
        - ``most_flops_arch`` (of equals the best) and ``most_flops_similarity``; ``gain_most_flops``, by how much the winner
          exceeds it, with ``_low`` and ``_high``;
        - ``random_similarity``, the mean over the group, which is what a random pick is expected to have; ``gain_random``
          likewise;
        - ``images`` (N) and ``level``.

        One image gives no intervals: they are NaN and all archs are tied. So are an arch's whose scores are not finite.

    Raises:
        UserError: If there are no resamples or the level is not between 0 and 1.
    """
    if resamples < 1:
        raise UserError(f'resamples is {resamples}; give 1 or more')
    if not 0 < level < 1:
        raise UserError(f'level is {level}; give a number between 0 and 1, such as 0.95')
    ranking = ranking.reset_index(drop=True)
    group = ranking['group'].to_numpy()
    bootstrap, records = None, []
    for best in winners(ranking, tasks).to_dict('records'):
        task = best['task']
        members = np.flatnonzero(group == best['group'])
        members = members[np.argsort(-ranking[task].to_numpy()[members], kind='stable')]
        winner = np.asarray(scores_of(task, members[:1]), dtype=np.float64)[0]
        bootstrap = bootstrap or _Bootstrap(len(winner), resamples, level, seed)
        records.append(dict(best, archs=len(members), images=len(winner), level=level,
                            **_compare(ranking, task, members, winner, scores_of, bootstrap)))
    return pd.DataFrame(records, columns=[name for name in COLUMNS if name != 'latency_ms' or name in ranking])


class _Bootstrap:
    """The same resamples of N images for everything that is compared; NaN intervals for one image."""

    def __init__(self, images: int, resamples: int, level: float, seed: int) -> None:
        self.bounds = (1 - level) / 2, (1 + level) / 2
        self.block = max(1, BLOCK_VALUES // max(images, resamples))  # archs at a time
        counts = np.random.Generator(np.random.Philox(seed)).multinomial(images, np.full(images, 1 / images), size=resamples)
        self._weights = (counts / images if images > 1 else np.full((resamples, 1), np.nan)).T

    def interval(self, values: np.ndarray) -> tuple[float, float]:
        """Bounds of the mean of ``(N,)`` values."""
        low, high = np.quantile(values @ self._weights, self.bounds)
        return float(low), float(high)

    def lower(self, values: np.ndarray) -> np.ndarray:
        """Lower bound of the mean of each row of ``(n, N)``."""
        return np.quantile(values @ self._weights, self.bounds[0], axis=1, overwrite_input=True)


def _compare(ranking: pd.DataFrame, task: str, members: np.ndarray, winner: np.ndarray, scores_of: ScoresOf,
             bootstrap: _Bootstrap) -> dict:
    """Columns ``similarity`` to ``gain_random_high``, for the rows ``members``, best first; ``winner``: (N,)."""
    above = np.empty(len(members), dtype=bool)  # the winner is, for certain
    halves = np.empty((2, len(members)))
    total = np.zeros_like(winner)
    for start in range(0, len(members), bootstrap.block):
        block = slice(start, start + bootstrap.block)
        gap = winner - scores_of(task, members[block])  # of the paper's float32 scores in float64: exact
        # The winner's mean is not below another's, so that the interval contains 0 unless its lower bound exceeds 0.
        above[block] = bootstrap.lower(gap) > 0
        if len(winner) > 1:
            halves[:, block] = gap[:, ::2].mean(axis=1), gap[:, 1::2].mean(axis=1)
        total += gap.sum(axis=0)

    similarity, archs = ranking[task].to_numpy(dtype=np.float64), ranking['arch'].to_numpy()
    tied = members[1:][~above[1:]]
    contenders = np.r_[members[:1], tied]
    cost = ranking['latency_ms' if 'latency_ms' in ranking else 'flops'].to_numpy()
    most = members[np.argmax(ranking['flops'].to_numpy()[members])]
    own, mean = float(similarity[members[0]]), float(similarity[members].mean())
    low, high = bootstrap.interval(winner)
    most_low, most_high = bootstrap.interval(winner - scores_of(task, np.array([most]))[0])
    random_low, random_high = bootstrap.interval(total / len(members))
    return dict(
        similarity=own, low=low, high=high, tied=len(tied), tied_archs=archs[tied[:TIED_SHOWN]].tolist(),
        cheapest_tied=archs[contenders[np.argmin(cost[contenders])]], distinguishable=len(tied) == 0 and len(winner) > 1,
        half_agreement=_rank_correlation(*halves) if len(winner) > 1 else math.nan,
        most_flops_arch=archs[most], most_flops_similarity=float(similarity[most]),
        gain_most_flops=own - float(similarity[most]), gain_most_flops_low=most_low, gain_most_flops_high=most_high,
        random_similarity=mean, gain_random=own - mean, gain_random_low=random_low, gain_random_high=random_high)


def _rank_correlation(a: np.ndarray, b: np.ndarray) -> float:
    if len(a) < 3 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return math.nan
    return float(spearmanr(a, b).statistic)


def warnings_of(assessment: pd.DataFrame) -> list[str]:
    """What speaks against the winners of :func:`assess_winners`: sentences of one line, by task and group."""
    lines = []
    for row in assessment.to_dict('records'):
        lines += [f"{row['task']} {row['group']}: {text}" for text in _doubts(row)]
    return lines


def _doubts(row: dict) -> list[str]:
    if row['archs'] == 1:
        return ['only one subnet was scored, so that there was nothing to choose']
    if row['images'] == 1:
        return ['one image tells nothing about others; score on more']
    texts, level = [], f"{100 * row['level']:g} %"
    if row['tied']:
        advice = ('it is the cheapest of them' if row['cheapest_tied'] == row['arch'] else
                  f"add images or take the cheapest of them, {row['cheapest_tied']}")
        texts.append(f"{row['tied']} other subnet{'s' * (row['tied'] > 1)} cannot be told from the winner on these images "
                     f'({level}); {advice}')
    if row['arch'] == row['most_flops_arch']:
        texts.append("the winner is the group's subnet of most FLOPs, which needs no search")
    elif not row['gain_most_flops_low'] > 0:
        texts.append(f"the winner does not surely beat the group's subnet of most FLOPs, {row['most_flops_arch']} ({level})")
    if not row['gain_random_low'] > 0:
        texts.append(f'the winner does not surely beat a random pick of the group ({level})')
    if row['half_agreement'] < LOW_AGREEMENT:
        texts.append('halves of the images rank the subnets differently '
                     f"(Spearman {row['half_agreement']:.2f}); add images")
    return texts


def winners_table(assessment: pd.DataFrame) -> Table:
    """The winners with their intervals, ties and gains: up to 100 columns, the last of which a narrower terminal cuts."""
    timed = 'latency_ms' in assessment
    head = f" on {assessment['images'].iloc[0]} images" if len(assessment) else ''
    level = f"{100 * assessment['level'].iloc[0]:g} % " if len(assessment) else ''
    table = Table(title=f'Best subnet of each budget group{head}', box=SIMPLE, padding=0, show_edge=False,
                  caption=f'±: half the {level}interval   ties: others that cannot be told from the winner   '
                          '?: may be 0   same: the winner has the most FLOPs')
    table.add_column('task', no_wrap=True)
    table.add_column('group')  # two or three budgets wrap
    table.add_column('arch', no_wrap=True)
    for column in ('GFLOPs', 'params', *(['ms'] if timed else [])):
        table.add_column(column, justify='right', no_wrap=True)
    digits = _digits(assessment)
    table.add_column('similarity', justify='right')  # wraps at its ± where there is no room
    table.add_column('ties', justify='right', no_wrap=True)
    for column in ('vs most\nFLOPs', 'vs\nrandom'):
        table.add_column(column, no_wrap=True)

    for row in assessment.to_dict('records'):
        half = (row['high'] - row['low']) / 2
        table.add_row(
            row['task'], row['group'], row['arch'], _short(row['flops'] / 1e9), f"{_short(row['params'] / 1e6)} M",
            *([_short(row['latency_ms'])] if timed else []),
            f"{row['similarity']:.{digits}f} ±{'?' if math.isnan(half) else f'{half:.{digits}f}'}", str(row['tied']),
            'same' if row['arch'] == row['most_flops_arch'] else _gain(row, 'gain_most_flops', digits),
            _gain(row, 'gain_random', digits))
    table.width = PlainConsole(width=100).measure(table).maximum
    return table


def _short(value: float) -> str:
    return f'{value:#.3g}'.rstrip('.')


def _gain(row: dict, name: str, digits: int) -> str:
    return f"{row[name]:+.{digits}f}{'' if row[f'{name}_low'] > 0 else '?'}"


def _digits(assessment: pd.DataFrame) -> int:
    """Decimals, the same for all rows, that show the smallest interval: 4 to 6."""
    if not len(assessment):
        return 4
    half = (assessment['high'] - assessment['low']) / 2
    half = half[half > 0]
    return 4 if half.empty else int(np.clip(-math.floor(math.log10(half.min())), 4, 6))
