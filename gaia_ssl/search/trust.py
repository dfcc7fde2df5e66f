"""How far the winners of a search can be trusted: what else may be the best, intervals, and what simpler choices would give."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from rich.box import SIMPLE
from rich.table import Table
from scipy.stats import spearmanr, t

from gaia_ssl.errors import UserError
from gaia_ssl.search.contenders import expected_regret, may_be_best
from gaia_ssl.search.ranking import winners
from gaia_ssl.terminal import PlainConsole

CONTENDERS_SHOWN = 20
"""So many contenders are named."""

LOW_AGREEMENT = 0.5
"""Spearman correlation between halves of the batches below which :func:`warnings_of` warns."""

COLUMNS = (
    'task', 'group', 'archs', 'arch', 'flops', 'params', 'latency_ms', 'similarity', 'low', 'high', 'contenders',
    'contender_archs', 'cheapest_contender', 'fastest_contender', 'expected_regret', 'half_agreement', 'most_flops_arch',
    'most_flops_similarity', 'gain_most_flops', 'gain_most_flops_low', 'gain_most_flops_high', 'random_similarity',
    'gain_random', 'gain_random_low', 'gain_random_high', 'images', 'batches', 'level',
)
"""Of an assessment; ``latency_ms`` and ``fastest_contender`` only if the ranking has latencies."""

ScoresOf = Callable[[str, np.ndarray], np.ndarray]


def assess_winners(ranking: pd.DataFrame, tasks: Sequence[str], scores_of: ScoresOf, seed: int = 0, level: float = 0.95,
                   entered: pd.DataFrame | None = None, alpha: float | None = None) -> pd.DataFrame:
    """Compare the winner of each group with the group's other archs, paired, over image batches.

    What it does and does not say:

    - The contenders hold the group's best arch with a probability of ``level``:
      :func:`~gaia_ssl.search.contenders.may_be_best`.
    - Intervals are Student's over the batches. The winner is the best of many on these same batches, so that its similarity,
      interval and gains are optimistic; the contenders and the agreement of the halves are not.
    - Few batches say little, however many images are in each.

    Args:
        ranking: As :func:`~gaia_ssl.search.ranking.make_ranking` makes it, A rows in any order, and ``images``, on how many
            each was scored; optionally ``latency_ms``.
        tasks: Columns of ``ranking`` to assess.
        scores_of: ``(task, rows) -> (len(rows), B)``: the similarity on each batch, for rows of the ranking of one group, by
            position. The ranking's column is its mean.
        seed: Of the rotations and draws.
        level: Of contenders and intervals, between 0 and 1.
        entered: ``arch``, ``group`` and ``flops`` of all archs of a race of which ``ranking`` has those that were left.
        alpha: Probability that the contenders of a task and group lack the best, where it is not ``1 - level``: a race's.

    Returns:
        A row a task and group that holds an arch, in the order of :func:`~gaia_ssl.search.ranking.winners`:

        - ``task``, ``group``, ``archs`` (members), and the winner's ``arch``, ``flops``, ``params``, ``latency_ms``;
        - ``similarity`` of the winner and its interval ``low``, ``high``;
        - ``contenders``: number of archs that may be the best, the winner included; ``contender_archs``: up to 20 of them, best
          first; ``cheapest_contender`` of least FLOPs and ``fastest_contender`` of least latency;
        - ``expected_regret``: by how much the winner of as many other batches would on average miss the best;
        - ``half_agreement``: Spearman correlation, over the archs, of the means over even and over odd batches; NaN for less
          than 3 archs or 2 batches, or if a half does not tell the archs apart;
        - ``most_flops_arch`` (of equals the best) and ``most_flops_similarity``; ``gain_most_flops``, by how much the winner
          exceeds it, with ``_low`` and ``_high``; NaN if it is out of the race;
        - ``random_similarity``, the mean over the group, which is what a random pick is expected to have; ``gain_random``
          likewise; NaN after a race;
        - ``images``, ``batches`` (B) and ``level``.

        One batch gives no intervals: they are NaN and all archs are contenders.

    Raises:
        UserError: If the level is not between 0 and 1.
    """
    if not 0 < level < 1:
        raise UserError(f'level is {level}; give a number between 0 and 1, such as 0.95')
    ranking = ranking.reset_index(drop=True)
    entered = ranking if entered is None else entered
    group = ranking['group'].to_numpy()
    records = []
    for best in winners(ranking, tasks).to_dict('records'):
        task = best['task']
        members = np.flatnonzero(group == best['group'])
        members = members[np.argsort(-ranking[task].to_numpy()[members], kind='stable')]
        scores = np.asarray(scores_of(task, members), dtype=np.float64)
        records.append(dict(best, batches=scores.shape[1], level=level,
                            **_compare(ranking.iloc[members], task, scores, level, alpha or 1 - level, seed),
                            **_simpler(ranking.iloc[members], task, scores, level, entered[entered['group'] == best['group']])))
    absent = () if 'latency_ms' in ranking else ('latency_ms', 'fastest_contender')
    return pd.DataFrame(records, columns=[name for name in COLUMNS if name not in absent])


def _compare(members: pd.DataFrame, task: str, scores: np.ndarray, level: float, alpha: float, seed: int) -> dict:
    """Columns ``similarity`` to ``half_agreement``, of a group's archs, best first."""
    contenders = members[may_be_best(scores, alpha, seed)]
    low, high = _interval(scores[0], level)
    found = dict(
        similarity=float(members[task].iloc[0]), low=low, high=high, contenders=len(contenders),
        contender_archs=contenders['arch'].iloc[:CONTENDERS_SHOWN].tolist(),
        cheapest_contender=contenders['arch'].iloc[int(contenders['flops'].argmin())],
        expected_regret=expected_regret(scores, seed=seed),
        half_agreement=_rank_correlation(scores[:, ::2].mean(axis=1), scores[:, 1::2].mean(axis=1))
        if scores.shape[1] > 1 else math.nan)
    if 'latency_ms' in members:
        found['fastest_contender'] = contenders['arch'].iloc[int(contenders['latency_ms'].argmin())]
    return found


def _simpler(members: pd.DataFrame, task: str, scores: np.ndarray, level: float, entered: pd.DataFrame) -> dict:
    """Columns ``archs`` and ``most_flops_arch`` to ``gain_random_high``."""
    similarity = members[task].to_numpy(dtype=np.float64)
    most = entered[entered['flops'] == entered['flops'].max()]['arch']
    left = np.flatnonzero(members['arch'].isin(most))
    choices = dict(most_flops=(similarity[left[0]], scores[left[0]])) if len(left) else {}
    if len(members) == len(entered):
        choices['random'] = (similarity.mean(), scores.mean(axis=0))
    found = dict(archs=len(entered), most_flops_arch=members['arch'].iloc[left[0]] if len(left) else most.iloc[0])
    for name in ('most_flops', 'random'):
        other, on_batches = choices.get(name, (math.nan, np.full_like(scores[0], math.nan)))
        low, high = _interval(scores[0] - on_batches, level)
        found |= {f'{name}_similarity': float(other), f'gain_{name}': float(similarity[0] - other), f'gain_{name}_low': low,
                  f'gain_{name}_high': high}
    return found


def _interval(values: np.ndarray, level: float) -> tuple[float, float]:
    """Bounds of the mean of ``(B,)`` values; NaN for one."""
    if len(values) < 2:
        return math.nan, math.nan
    half = t.isf((1 - level) / 2, len(values) - 1) * values.std(ddof=1) / math.sqrt(len(values))
    return float(values.mean() - half), float(values.mean() + half)


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
    if row['batches'] == 1:
        return ['one batch of images tells nothing about others; score on more images or in smaller batches']
    texts, level = [], f"{100 * row['level']:g} %"
    if (others := row['contenders'] - 1):
        advice = ('it is the cheapest of them' if row['cheapest_contender'] == row['arch'] else
                  f"add images or take the cheapest of them, {row['cheapest_contender']}")
        texts.append(f"{others} other subnet{'s' * (others > 1)} may be better than the winner by these {row['batches']} "
                     f'batches of images ({level}); {advice}')
    if row['arch'] == row['most_flops_arch']:
        texts.append("the winner is the group's subnet of most FLOPs, which needs no search")
    elif row['gain_most_flops_low'] <= 0:
        texts.append(f"the winner does not surely beat the group's subnet of most FLOPs, {row['most_flops_arch']} ({level})")
    if row['gain_random_low'] <= 0:
        texts.append(f'the winner does not surely beat a random pick of the group ({level})')
    if row['half_agreement'] < LOW_AGREEMENT:
        texts.append('halves of the images rank the subnets differently '
                     f"(Spearman {row['half_agreement']:.2f}); add images")
    return texts


def winners_table(assessment: pd.DataFrame) -> Table:
    """The winners with their intervals, contenders and gains: up to 100 columns, the last of which a narrower terminal cuts."""
    timed = 'latency_ms' in assessment
    images = assessment['images'].unique()
    head = f' on {images[0]} images' if len(images) == 1 else ''
    level = f"{100 * assessment['level'].iloc[0]:g} % " if len(assessment) else ''
    table = Table(title=f'Best subnet of each budget group{head}', box=SIMPLE, padding=0, show_edge=False,
                  caption=f'±: half the {level}interval   best?: how many may be the best   lost: by the winner, expected   '
                          '?: may be 0   same: the winner has the most FLOPs   -: not known')
    table.add_column('task', no_wrap=True)
    table.add_column('group')  # two or three budgets wrap
    table.add_column('arch', no_wrap=True)
    for column in ('GFLOPs', 'params', *(['ms'] if timed else [])):
        table.add_column(column, justify='right', no_wrap=True)
    digits = _digits(assessment)
    table.add_column('similarity', justify='right')  # wraps at its ± where there is no room
    for column in ('best?', 'lost'):
        table.add_column(column, justify='right', no_wrap=True)
    table.add_column('vs most\nFLOPs', no_wrap=True)

    for row in assessment.to_dict('records'):
        half = (row['high'] - row['low']) / 2
        table.add_row(
            row['task'], row['group'], row['arch'], _short(row['flops'] / 1e9), f"{_short(row['params'] / 1e6)} M",
            *([_short(row['latency_ms'])] if timed else []),
            f"{row['similarity']:.{digits}f} ±{'?' if math.isnan(half) else f'{half:.{digits}f}'}", f"{row['contenders']:,}",
            '?' if math.isnan(row['expected_regret']) else f"{row['expected_regret']:.{digits}f}",
            'same' if row['arch'] == row['most_flops_arch'] else _gain(row, digits))
    table.width = PlainConsole(width=100).measure(table).maximum
    return table


def _short(value: float) -> str:
    return f'{value:#.3g}'.rstrip('.')


def _gain(row: dict, digits: int) -> str:
    gain = row['gain_most_flops']
    return '-' if math.isnan(gain) else f"{gain:+.{digits}f}{'' if row['gain_most_flops_low'] > 0 else '?'}"


def _digits(assessment: pd.DataFrame) -> int:
    """Decimals, the same for all rows, that show the smallest interval: 4 to 6."""
    if not len(assessment):
        return 4
    half = (assessment['high'] - assessment['low']) / 2
    half = half[half > 0]
    return 4 if half.empty else int(np.clip(-math.floor(math.log10(half.min())), 4, 6))
