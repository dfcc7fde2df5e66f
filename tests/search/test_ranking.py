import numpy as np
import pandas as pd
import pytest
from PIL import Image

from gaia_ssl.search.ranking import make_ranking, pareto_front, winners
from gaia_ssl.search.report import plot_pareto
from gaia_ssl.space import FlopsGroups
from tests import tiny

GROUPS = FlopsGroups(tiny.EDGES)
ARCHS = list(tiny.SPACE)
FEATURES = ('c2', 'c3', 'c4', 'c5', 'z')
TASKS = ['c4-c5', 'z']


@pytest.fixture
def scores() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(32, 5, 7)).astype(np.float32)


@pytest.fixture
def ranking(scores) -> pd.DataFrame:
    return rank(ARCHS, scores)


def rank(archs, scores, tasks=TASKS) -> pd.DataFrame:
    costs = dict(flops=np.array([arch.flops(32, 3) for arch in archs]), params=np.array([arch.params(3) for arch in archs]))
    groups = np.array([*GROUPS.names, ''])[GROUPS.assign(costs['flops'])]
    means = dict(zip(FEATURES, scores.mean(axis=2, dtype=np.float64).T, strict=True))
    features = {'c4-c5': ('c4', 'c5'), 'z': ('z', )}
    similarities = {task: np.mean([means[feature] for feature in features[task]], axis=0) for task in tasks}
    return make_ranking(archs, groups, costs, similarities, means)


def test_rows_equal_a_count_by_hand(ranking, scores):
    assert list(ranking) == ['arch', 'group', 'flops', 'params', 'c4-c5', 'z', 'c2', 'c3', 'c4', 'c5']
    assert sorted(ranking['arch']) == sorted(map(str, ARCHS))
    for row in ranking.to_dict('records'):
        index = [str(arch) for arch in ARCHS].index(row['arch'])
        for feature, values in zip(FEATURES, scores[index].tolist(), strict=True):
            assert row[feature] == pytest.approx(sum(values) / 7, rel=1e-12)
        assert row['c4-c5'] == pytest.approx((row['c4'] + row['c5']) / 2, rel=1e-12)
        assert row['flops'] == ARCHS[index].flops(32, 3) and row['params'] == ARCHS[index].params(3)
        within = [name for name, low, high in zip(GROUPS.names, tiny.EDGES, tiny.EDGES[1:], strict=False)
                  if low <= row['flops'] < high]
        assert row['group'] == ''.join(within)


def test_the_best_comes_first_by_the_first_task(ranking, scores):
    assert ranking['c4-c5'].tolist() == sorted(ranking['c4-c5'], reverse=True)
    other = rank(ARCHS, scores, TASKS[::-1])
    assert other['z'].tolist() == sorted(other['z'], reverse=True)


def test_equal_scores_keep_the_order_of_the_archs(scores):
    table = rank(ARCHS, np.zeros_like(scores))
    assert table['arch'].tolist() == list(map(str, ARCHS))


def test_rows_know_their_archs(ranking):
    assert [str(ARCHS[index]) for index in ranking.index] == ranking['arch'].tolist()


def test_further_costs_become_columns(scores):
    costs = dict(flops=np.arange(32), params=np.arange(32), latency_ms=np.arange(32) / 4)
    means = dict(zip(FEATURES, scores.mean(axis=2).T, strict=True))
    table = make_ranking(ARCHS, np.full(32, 'all'), costs, {'c5': means['c5']}, means)
    assert list(table) == ['arch', 'group', 'flops', 'params', 'latency_ms', 'c5', 'c2', 'c3', 'c4', 'z']
    assert (table['latency_ms'] == table.index / 4).all()


def test_winners_equal_brute_force(ranking):
    best = winners(ranking, TASKS)
    rows = ranking.to_dict('records')
    expected = [(task, group, max((row for row in rows if row['group'] == group), key=lambda row: row[task])['arch'])
                for task in TASKS for group in ('1.1-2M', '2-3M', '3-4.1M')]
    assert sorted(zip(best['task'], best['group'], best['arch'], strict=True)) == sorted(expected)
    for task in TASKS:
        assert best[best['task'] == task]['flops'].is_monotonic_increasing


def test_no_arch_in_a_group_gives_no_winner(scores):
    table = rank([tiny.SPACE.max], scores[:1])
    assert winners(table, TASKS).empty


@pytest.mark.parametrize('seed', range(5))
def test_pareto_front_equals_brute_force(seed):
    rng = np.random.default_rng(seed)
    cost, score = rng.integers(0, 12, 40), rng.integers(0, 12, 40) / 4  # with many ties
    front = pareto_front(cost, score)

    def is_beaten(i: int) -> bool:
        return any((cost[j] <= cost[i] and score[j] >= score[i]) and (cost[j] < cost[i] or score[j] > score[i])
                   for j in range(40))

    # Of equal points, one stands for all.
    assert {(cost[i], score[i]) for i in front} == {(cost[i], score[i]) for i in range(40) if not is_beaten(i)}
    assert (np.diff(cost[front]) > 0).all() and (np.diff(score[front]) > 0).all()


def test_the_picture(ranking, tmp_path):
    plot_pareto(ranking, dict.fromkeys(TASKS, 'similarity'), tmp_path / 'pareto.png', resolution=32)
    with Image.open(tmp_path / 'pareto.png') as picture:
        assert picture.format == 'PNG' and picture.size == (1536, 576)  # two panels
        assert len(set(picture.convert('L').resize((64, 24)).getdata())) > 5
    assert [path.name for path in tmp_path.iterdir()] == ['pareto.png']
