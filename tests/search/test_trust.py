import io
import math

import numpy as np
import pandas as pd
import pytest
from rich.console import Console
from scipy.stats import spearmanr, ttest_1samp

from gaia_ssl.errors import UserError
from gaia_ssl.search import trust
from gaia_ssl.search.ranking import make_ranking, winners
from gaia_ssl.search.trust import assess_winners, warnings_of, winners_table
from gaia_ssl.space import FlopsGroups
from tests import tiny

TASK = 'c2-c5'
TIMED = ('latency_ms', 'fastest_contender')
INTERVALS = ('low', 'high', 'gain_most_flops_low', 'gain_most_flops_high', 'gain_random_low', 'gain_random_high')


def make(scores, groups=None, flops=None, order=None, **further) -> tuple[pd.DataFrame, list[str], trust.ScoresOf]:
    """A ranking of ``(A, B)`` scores for one task, its rows best first or in the order given, and the scores of its rows."""
    scores = np.asarray(scores, dtype=np.float32)
    count = len(scores)
    table = pd.DataFrame(dict(
        arch=[f'arch{index}' for index in range(count)], group=['3-4G'] * count if groups is None else groups,
        flops=3e9 + 1e6 * np.arange(count) if flops is None else flops, params=np.arange(count) + 10**7,
        images=8 * scores.shape[1], **further))
    table[TASK] = scores.mean(axis=1, dtype=np.float64)
    order = np.argsort(-table[TASK], kind='stable') if order is None else np.asarray(order)

    def scores_of(task: str, rows: np.ndarray) -> np.ndarray:
        assert task == TASK
        return scores[order[rows]]

    return table.iloc[order].reset_index(drop=True), [TASK], scores_of


def assess_one(scores, assess: dict | None = None, **kwargs) -> pd.Series:
    assessment = assess_winners(*make(scores, **kwargs), **(assess or {}))
    assert len(assessment) == 1
    return assessment.iloc[0]


def noisy(means, batches: int, spread: float = 1.0, shared: float = 2.0, seed: int = 0) -> np.ndarray:
    """Scores with given true means: batches differ by ``shared`` for all archs, and archs on a batch by ``spread``."""
    rng = np.random.default_rng(seed)
    return np.reshape(means, (-1, 1)) + shared * rng.normal(size=batches) + spread * rng.normal(size=(len(means), batches))


def scipy_interval(values: np.ndarray) -> tuple[float, float]:
    interval = ttest_1samp(values, 0).confidence_interval(0.95)
    return interval.low, interval.high


def test_rows_and_columns_follow_the_winners():
    features = ('c2', 'c3', 'c4', 'c5', 'z')
    archs, tasks = list(tiny.SPACE), ['c4-c5', 'z']
    scores = np.random.default_rng(0).normal(size=(len(archs), 5, 7)).astype(np.float32)
    costs = dict(flops=np.array([arch.flops(32, 3) for arch in archs]), params=np.array([arch.params(3) for arch in archs]))
    groups = FlopsGroups(tiny.EDGES)
    names = np.array([*groups.names, ''])[groups.assign(costs['flops'])]
    means = dict(zip(features, scores.mean(axis=2, dtype=np.float64).T, strict=True))
    similarities = {'c4-c5': (means['c4'] + means['c5']) / 2, 'z': means['z']}
    ranking = make_ranking(archs, names, costs, similarities, means).assign(images=70)
    position = {str(arch): index for index, arch in enumerate(archs)}
    chosen = {'c4-c5': [2, 3], 'z': [4]}

    def scores_of(task, rows):
        return scores[[position[text] for text in ranking['arch'].iloc[rows]]][:, chosen[task]].mean(axis=1)

    for task in tasks:
        assert scores_of(task, np.arange(len(archs))).mean(axis=1) == pytest.approx(ranking[task].to_numpy(), abs=1e-6)
    assessment = assess_winners(ranking, tasks, scores_of)
    assert list(assessment) == [name for name in trust.COLUMNS if name not in TIMED]
    best = winners(ranking, tasks)
    pd.testing.assert_frame_equal(assessment[['task', 'group', 'arch', 'flops', 'params']],
                                  best[['task', 'group', 'arch', 'flops', 'params']])
    for row, winner in zip(assessment.to_dict('records'), best.to_dict('records'), strict=True):
        members = ranking[ranking['group'] == row['group']]
        most = members.loc[members['flops'].idxmax()]
        assert row['similarity'] == winner[row['task']] and row['archs'] == len(members)
        assert row['most_flops_arch'] == most['arch'] and row['most_flops_similarity'] == most[row['task']]
        assert row['random_similarity'] == pytest.approx(members[row['task']].mean(), rel=1e-12)
        assert row['gain_most_flops'] == pytest.approx(row['similarity'] - row['most_flops_similarity'], abs=1e-12)
        assert row['gain_random'] == pytest.approx(row['similarity'] - row['random_similarity'], abs=1e-12)
        assert (row['images'], row['batches'], row['level']) == (70, 7, 0.95)
        for value, name in (('similarity', ''), ('gain_most_flops', 'gain_most_flops_'), ('gain_random', 'gain_random_')):
            assert row[f'{name}low'] <= row[value] <= row[f'{name}high']


def test_intervals_equal_scipys():
    scores = noisy([1.0, 0.2, 0.6, 0.4], batches=9).astype(np.float32).astype(float)
    row = assess_one(scores, flops=[3.1e9, 3.2e9, 3.9e9, 3.0e9])
    best = scores[int(row['arch'][-1])]
    assert row['most_flops_arch'] == 'arch2'
    for name, values in (('', best), ('gain_most_flops_', best - scores[2]), ('gain_random_', best - scores.mean(axis=0))):
        assert (row[f'{name}low'], row[f'{name}high']) == pytest.approx(scipy_interval(values), rel=1e-9)


def test_an_equal_arch_may_be_the_best_and_a_worse_one_not():
    rng = np.random.default_rng(0)
    a, noise = rng.normal(size=(2, 20))
    row = assess_one([a, a + 0.05 * (noise - noise.mean()) - 1e-4, a - 0.02 + 0.001 * noise])
    assert (row['arch'], row['contenders'], row['contender_archs']) == ('arch0', 2, ['arch0', 'arch1'])
    # The third is worse by a hundredth of the batches' spread, and is told apart because the comparison is paired.
    assert row['high'] - row['low'] > 0.2


def test_small_differences_survive():
    noise = np.random.default_rng(0).normal(size=100) * 1e-5
    a = 100 + np.random.default_rng(1).normal(size=100)
    scores = np.stack([a, a - 2 ** -13]).astype(np.float32)  # exact in float32 at 100, as are their differences
    assert assess_one(scores)['contenders'] == 1
    scores = -1e-2 + np.stack([noise + 1e-5, noise, noise[::-1]])
    assert assess_one(scores)['contenders'] == 1


def test_copies_of_the_winner_may_be_the_best():
    row = assess_one(np.repeat(noisy([0.0], batches=30), 3, axis=0))
    assert (row['arch'], row['contender_archs'], row['expected_regret']) == ('arch0', ['arch0', 'arch1', 'arch2'], 0)
    assert row['gain_random'] == row['gain_random_low'] == row['gain_random_high'] == 0
    assert math.isnan(row['half_agreement'])


def test_the_order_of_the_ranking_does_not_matter():
    scores = noisy(np.linspace(0, 1, 30), batches=50)
    groups = ['3-4G', '1-2G', ''] * 10
    flops = np.where(np.array(groups) == '3-4G', 3e9, 1e9) + 1e6 * np.arange(30)
    first = assess_winners(*make(scores, groups, flops))
    assert first['group'].tolist() == ['1-2G', '3-4G']
    shuffled, _, scores_of = make(scores, groups, flops, order=np.random.default_rng(3).permutation(30))
    second = assess_winners(shuffled.set_index(np.arange(30)[::-1]), [TASK], scores_of)
    pd.testing.assert_frame_equal(first, second, rtol=1e-12)


def test_of_equals_the_first_wins_as_in_the_ranking():
    row = assess_one(np.repeat(noisy([0.0], batches=9), 3, axis=0), order=[2, 0, 1])
    assert (row['arch'], row['contender_archs']) == ('arch2', ['arch2', 'arch0', 'arch1'])


@pytest.mark.filterwarnings('error')
def test_one_batch():
    row = assess_one(noisy(np.arange(4.0), batches=1))
    assert row['contenders'] == 4
    assert np.isnan([row[name] for name in (*INTERVALS, 'half_agreement', 'expected_regret')]).all()
    assert row['gain_most_flops'] == 0 or row['arch'] != row['most_flops_arch']


def test_what_is_left_of_a_race():
    """The group's arch of most FLOPs is out of it, so that it and a random pick are not known on these batches."""
    ranking, tasks, scores_of = make(noisy([0.0, 1.0], batches=6))
    entered = pd.DataFrame(dict(arch=['arch0', 'arch1', 'large'], group='3-4G', flops=[3e9, 3.1e9, 3.9e9]))
    row = assess_winners(ranking, tasks, scores_of, entered=entered).iloc[0]
    assert (row['archs'], row['most_flops_arch']) == (3, 'large')
    assert np.isnan([row['gain_most_flops'], row['random_similarity'], row['gain_random_low']]).all()
    assert not any('random' in line or 'most FLOPs' in line for line in warnings_of(row.to_frame().T))
    strict = assess_winners(ranking, tasks, scores_of, alpha=1e-9).iloc[0]
    assert strict['contenders'] == 2 and strict['low'] == row['low']


def test_two_batches_give_halves():
    scores = noisy(np.arange(5.0), batches=2)
    assert assess_one(scores)['half_agreement'] == pytest.approx(spearmanr(*scores.T).statistic, rel=1e-12)


@pytest.mark.filterwarnings('error')
def test_a_group_of_one():
    row = assess_one(noisy([0.0], batches=20))
    assert (row['archs'], row['contenders'], row['expected_regret']) == (1, 1, 0)
    assert row['gain_most_flops'] == row['gain_random'] == row['gain_random_high'] == 0
    assert math.isnan(row['half_agreement']) and row['low'] < row['high']


@pytest.mark.parametrize('batches', [31, 32])
def test_half_agreement_equals_scipys(batches):
    scores = noisy(np.linspace(0, 1, 15), batches=batches)
    expected = spearmanr(scores[:, ::2].mean(axis=1), scores[:, 1::2].mean(axis=1)).statistic
    assert assess_one(scores)['half_agreement'] == pytest.approx(expected, abs=1e-12)
    assert math.isnan(assess_one(scores[:2])['half_agreement'])


@pytest.mark.filterwarnings('error')
def test_constant_scores():
    row = assess_one(np.full((5, 8), 0.5))
    assert row['contenders'] == 5 and math.isnan(row['half_agreement']) and row['low'] == row['high'] == 0.5


def test_equal_flops_and_the_cheapest():
    scores = noisy([0.0, 0.0, 5.0, 5.0, 5.0], batches=30, spread=1.0)
    order = np.argsort(-scores.mean(axis=1))
    row = assess_one(scores, flops=np.full(5, 3e9))
    assert row['most_flops_arch'] == f'arch{order[0]}'  # of equals the best: the harder one to beat
    assert row['contenders'] == 3 and row['cheapest_contender'] == row['arch'] and 'fastest_contender' not in row
    assert assess_one(scores)['cheapest_contender'] == 'arch2'  # arch0 costs less, but cannot be the best
    timed = assess_one(scores, latency_ms=[1.0, 2.0, 9.0, 7.0, 8.0])
    assert (timed['cheapest_contender'], timed['fastest_contender']) == ('arch2', 'arch3')
    assert timed['latency_ms'] == [1.0, 2.0, 9.0, 7.0, 8.0][order[0]]


def test_at_most_twenty_contenders_are_named():
    row = assess_one(np.repeat(noisy([0.0], batches=5), 50, axis=0))
    assert row['contenders'] == 50 and row['contender_archs'] == [f'arch{index}' for index in range(20)]


def test_no_arch_in_a_group():
    assessment = assess_winners(*make(noisy([0.0], batches=5), groups=['']))
    assert assessment.empty and list(assessment) == [name for name in trust.COLUMNS if name not in TIMED]
    assert warnings_of(assessment) == [] and winners_table(assessment).row_count == 0


@pytest.mark.parametrize('level', [0, 1, 95])
def test_wrong_settings(level):
    with pytest.raises(UserError, match='level is'):
        assess_winners(*make(noisy([0.0], batches=5)), level=level)


def warn(scores, **kwargs) -> list[str]:
    return warnings_of(assess_winners(*make(scores, **kwargs)))


def test_warnings():
    rng = np.random.default_rng(0)
    batch, noise = rng.normal(size=40), 0.01 * rng.normal(size=(5, 40))
    clear = batch + noise + np.array([0, 4, 3, 2, 1])[:, None]
    assert warn(clear, flops=[3.1e9, 3.2e9, 3.9e9, 3.3e9, 3.4e9]) == []
    assert [line[12:] for line in warn(clear[[0, 4, 3, 2, 1]])] == [
        "the winner is the group's subnet of most FLOPs, which needs no search"]
    assert warn(clear[:1]) == ['c2-c5 3-4G: only one subnet was scored, so that there was nothing to choose']
    assert warn(clear[:, :1]) == [
        'c2-c5 3-4G: one batch of images tells nothing about others; score on more images or in smaller batches']
    equal = noisy(np.zeros(12), batches=10, seed=7)
    lines = warn(equal)
    row = assess_one(equal)
    assert lines[0] == (f"c2-c5 3-4G: {row['contenders'] - 1} other subnets may be better than the winner by these 10 batches "
                        f"of images (95 %); add images or take the cheapest of them, {row['cheapest_contender']}")
    assert any('does not surely beat the group\'s subnet of most FLOPs, arch11 (95 %)' in line for line in lines)
    assert any('(Spearman ' in line for line in lines)
    pair = warn(np.stack([batch, batch + 0.1 * rng.permutation(batch) - 1e-4]), flops=[3e9, 3.5e9])
    assert any('1 other subnet may be better than the winner' in line for line in pair)
    assert any('random pick' in line for line in pair)
    assert all('\n' not in line for line in (*lines, *pair))


def test_the_name_of_several_budgets_wraps_in_the_terminal():
    group = 'flops 3e+09:4e+09, params :2.6e+07, latency_ms :12'
    ranking, _, scores_of = make(np.random.default_rng(0).normal(size=(5, 9)), np.full(5, group), np.full(5, 3.5e9),
                                 latency_ms=100 + np.arange(5.))
    ranking['arch'] = '64-80x4-160x6-320x29-640x4'
    file = io.StringIO()
    Console(file=file, width=200).print(winners_table(assess_winners(ranking, [TASK], scores_of)))
    text = file.getvalue()
    assert max(map(len, text.splitlines())) <= 100 and '…' not in text and '64-80x4-160x6-320x29-640x4' in text
    assert all(word in text for word in group.split())


@pytest.mark.parametrize('timed', [False, True])
def test_the_terminal_table_fits_a_hundred_columns(timed):
    rng = np.random.default_rng(0)
    scores = -0.01 - 0.001 * rng.random((40, 1)) + 0.001 * rng.normal(size=(40, 64))
    groups = np.repeat(['3-4G', '0.1-0.2G'], 20)
    latency = dict(latency_ms=100 + rng.random(40)) if timed else {}
    ranking, _, scores_of = make(scores, groups, np.where(groups == '3-4G', 3.5e9, 1.5e8), **latency)
    ranking['arch'] = '64-80x4-160x6-320x29-640x4'  # the longest text of the paper's space
    assessment = assess_winners(ranking, [TASK], scores_of)
    file = io.StringIO()
    Console(file=file, width=200).print(winners_table(assessment))
    text = file.getvalue()
    assert max(map(len, text.splitlines())) <= 100
    rows = [line for line in text.splitlines() if '64-80x4-160x6-320x29-640x4' in line]
    assert len(rows) == 2 and '…' not in text
    assert len({row.index('64-80') for row in rows}) == len({row.index(' M ') for row in rows}) == 1
    for row in assessment.to_dict('records'):
        assert f"{row['similarity']:.4f}" in text and f"±{(row['high'] - row['low']) / 2:.4f}" in text
