"""Does a similarity rank subnets as their downstream scores do, and better than their size does (the paper's Table 2)?"""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.stats import ConstantInputWarning, kendalltau, spearmanr

from gaia_ssl.errors import UserError
from gaia_ssl.space import Arch

ALL, WITHIN = 'all', 'within groups'
"""Scopes of a correlation beside the groups themselves."""
MIN_ARCHS = 3
"""Fewer subnets have no rank correlation to speak of."""
FEW_ARCHS = 20
"""With fewer, intervals span most of what is possible."""
MIN_GROUP = 5
"""Smaller groups are listed, but not computed."""
MAX_BOOTSTRAP = 2000
"""With more subnets no intervals are computed: it would take the square of their number, and they would be narrow."""
STATISTICS = ('spearman', 'kendall')


def correlate(table: pd.DataFrame, predictors: Sequence[str], score: str, baseline: str = 'flops', resamples: int = 1000,
              level: float = 0.95, seed: int = 0) -> pd.DataFrame:
    """Rank correlations of each predictor with a score, with percentile bootstrap intervals over the subnets.

    Spearman's rho and Kendall's tau-b, over all subnets; in each group of at least :data:`MIN_GROUP`; and within groups: the
    mean of the groups' figures, weighted by their numbers of subnets, in which bigger-is-better between groups counts for
    nothing. All predictors share the resamples, so that their differences from the baseline are paired. The figure within
    groups resamples each group by itself.

    A constant predictor or score has no correlation: NaN. Resamples in which it has none are left out of the interval.

    Args:
        table: A row a subnet: ``group`` (empty outside all groups), ``flops``, and the columns named below, finite.
        predictors: Columns to correlate.
        score: Column to correlate them with.
        baseline: Column to beat.
        resamples: Number of them.
        level: Of the intervals, between 0 and 1.
        seed: Of the resamples.

    Returns:
        A row a scope (:data:`ALL`, :data:`WITHIN`, the groups by rising FLOPs) and predictor: ``score``, ``scope``,
        ``archs``, ``predictor``, ``baseline``; ``spearman`` with its interval ``spearman_low``, ``spearman_high``;
        ``spearman_gain``, by how much it exceeds the baseline's, with ``_low`` and ``_high``; and the same of ``kendall``.

    Raises:
        UserError: If there are fewer than :data:`MIN_ARCHS` subnets, or the settings of the bootstrap make no sense.
    """
    if len(table) < MIN_ARCHS:
        raise UserError(f'a rank correlation needs {MIN_ARCHS} subnets or more, and 50 to say much; there are {len(table)}')
    if resamples < 1 or not 0 < level < 1 or seed < 0:
        raise UserError(f'resamples is {resamples}, level {level} and seed {seed}; give 1 or more, a number between 0 and 1, '
                        'and 0 or more')
    columns = list(dict.fromkeys([*predictors, baseline]))
    reference = columns.index(baseline)

    def estimate(rows: pd.DataFrame, stream: int) -> tuple[np.ndarray, np.ndarray]:
        """Figures and their gains over the baseline's, each ``(P, 2, 1 + R)``."""
        values = rows[columns].to_numpy(dtype=np.float64).T
        own = _with_resamples(values, rows[score].to_numpy(dtype=np.float64), resamples, seed, stream)
        return own, own - own[reference]

    groups = groups_of(table)
    large = {name: rows for name, rows in groups.items() if len(rows) >= MIN_GROUP}
    estimates = {name: estimate(rows, stream) for stream, (name, rows) in enumerate(large.items(), start=1)}
    sizes = [len(rows) for rows in large.values()]
    pooled = tuple(_pool(parts, sizes) for parts in zip(*estimates.values(), strict=True)) or None
    scopes = {ALL: (len(table), estimate(table, 0)), WITHIN: (sum(sizes), pooled),
              **{name: (len(rows), estimates.get(name)) for name, rows in groups.items()}}

    records = []
    for scope, (archs, figures) in scopes.items():
        for position, predictor in enumerate(predictors):
            record = dict(score=score, scope=scope, archs=archs, predictor=predictor, baseline=baseline)
            for index, statistic in enumerate(STATISTICS):
                own, gain = (np.full(1, np.nan), ) * 2 if figures is None else [each[position, index] for each in figures]
                record |= _interval(statistic, own, level) | _interval(f'{statistic}_gain', gain, level)
            records.append(record)
    return pd.DataFrame(records)


def draw_archs(candidates: Sequence[Arch], groups: Sequence, num: int, seed: int) -> list[Arch]:
    """``num`` distinct ones (all if there are no more), as many of each group as of any other, as far as it has them.

    Uniform within a group; a larger draw of the same seed contains a smaller.

    Args:
        candidates: The archs.
        groups: Of each; those outside all groups count as one.
        num: How many.
        seed: Of the draw.
    """
    order = np.random.Generator(np.random.Philox(key=[seed, 0])).permutation(len(candidates))
    turns = pd.Series(np.asarray(groups)[order]).groupby(np.asarray(groups)[order]).cumcount()
    return [candidates[order[index]] for index in np.argsort(turns, kind='stable')[:num]]


def groups_of(table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The rows of each group, by rising FLOPs; none of what lies outside all groups."""
    groups = {name: rows for name, rows in table.groupby('group') if name}
    return dict(sorted(groups.items(), key=lambda item: item[1]['flops'].min()))


def resample_counts(archs: int, resamples: int, seed: int, stream: int = 0) -> np.ndarray:
    """How often each subnet is in each resample, ``(resamples, archs)``; stream 0 is overall, 1 and up the large groups."""
    rng = np.random.Generator(np.random.Philox(key=[seed, stream]))
    return rng.multinomial(archs, np.full(archs, 1 / archs), size=resamples)


def notes_of(correlations: pd.DataFrame) -> list[str]:
    """What limits the figures of :func:`correlate`: sentences of one line."""
    notes = []
    overall = correlations[correlations['scope'] == ALL]
    if len(overall) and (archs := overall['archs'].iloc[0]) < FEW_ARCHS:
        notes.append(f'{archs} subnets are few: intervals this wide settle nothing; the paper takes 50')
    elif len(overall) and archs > MAX_BOOTSTRAP:
        notes.append(f'no intervals for so many subnets ({archs:,}): beyond {MAX_BOOTSTRAP:,} they would be narrow')
    if (correlations[correlations['scope'] == WITHIN]['archs'] == 0).all():
        notes.append(f'no group has {MIN_GROUP} subnets, so that there is no figure within groups')
    groups = correlations[~correlations['scope'].isin([ALL, WITHIN])].drop_duplicates('scope')
    small = groups[groups['archs'] < MIN_GROUP]
    if len(small):
        named = ', '.join(f'{row.scope} ({row.archs})' for row in small.itertuples())
        notes.append(f'groups of fewer than {MIN_GROUP} subnets are not computed: {named}')
    for score, rows in overall.groupby('score', sort=False):
        undefined = rows[rows['spearman'].isna()]['predictor'].tolist()
        if len(undefined) == len(rows):
            notes.append(f'{score} is the same for all subnets, so that no correlation with it is defined')
        elif undefined:
            notes.append(f'{", ".join(undefined)}: the same for all subnets, so that no correlation is defined')
    return notes


def _with_resamples(values: np.ndarray, score: np.ndarray, resamples: int, seed: int, stream: int) -> np.ndarray:
    """``(P, 2, 1 + resamples)``: Spearman and Kendall of ``(P, N)`` values with ``(N,)``, as they are and resampled."""
    own = np.array([_scipy(each, score) for each in values])[:, :, None]
    if len(score) > MAX_BOOTSTRAP:
        return own
    counts = resample_counts(len(score), resamples, seed, stream).astype(np.float64)
    score_signs = _signs(score)
    return np.concatenate([own, [_resampled(_signs(each), score_signs, counts) for each in values]], axis=2)


def _scipy(values: np.ndarray, score: np.ndarray) -> tuple[float, float]:
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', ConstantInputWarning)
        return float(spearmanr(values, score).statistic), float(kendalltau(values, score).statistic)


def _signs(values: np.ndarray) -> np.ndarray:
    """``sign(x_i - x_j)``, ``(N, N)``."""
    return np.sign(values[:, None] - values[None, :])


def _resampled(x: np.ndarray, y: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Spearman and Kendall's tau-b of all resamples at once, ``(2, R)``, from signs ``(N, N)`` and counts ``(R, N)``.

    A subnet's midrank in a resample is, but for a constant, half the sum of its signs over the resample.
    """
    rank_x, rank_y = counts @ x, counts @ y  # both of the opposite sign, which cancels

    def over_archs(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return (counts * a * b).sum(axis=1)

    def over_pairs(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return ((counts @ (a * b)) * counts).sum(axis=1)

    with np.errstate(divide='ignore', invalid='ignore'):
        return np.stack([product(rank_a, rank_b) / np.sqrt(product(rank_a, rank_a) * product(rank_b, rank_b))
                         for product, rank_a, rank_b in ((over_archs, rank_x, rank_y), (over_pairs, x, y))])


def _pool(estimates: Sequence[np.ndarray], sizes: Sequence[int]) -> np.ndarray:
    """Mean of the groups' estimates, weighted by size; of those that are defined. All of shape ``(P, 2, 1 + R)``."""
    shortest = min(each.shape[2] for each in estimates)  # only the estimates where a group is too large for resamples
    stacked = np.stack([each[:, :, :shortest] for each in estimates])
    weights = np.where(np.isnan(stacked), 0, np.reshape(sizes, (-1, 1, 1, 1)))
    with np.errstate(invalid='ignore'):
        return np.nansum(stacked * weights, axis=0) / weights.sum(axis=0)


def _interval(name: str, values: np.ndarray, level: float) -> dict[str, float]:
    """The estimate, which comes first in ``(1 + R,)``, and the bounds of the rest."""
    drawn = values[1:][~np.isnan(values[1:])]
    known = len(drawn) and not np.isnan(values[0])
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2]) if known else (np.nan, np.nan)
    return {name: float(values[0]), f'{name}_low': float(low), f'{name}_high': float(high)}
