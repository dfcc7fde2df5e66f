"""Scores of a task out of quantities of different units."""

import numpy as np
import pytest

from gaia_ssl import Arch
from gaia_ssl.errors import UserError
from gaia_ssl.search.node_scores import NodeScores
from gaia_ssl.search.task import MEASURES, TASKS, quantities_of, quantities_of_task
from gaia_ssl.search.task_scores import TaskScores, scales_of
from gaia_ssl.space import ArchTree, FlopsGroups
from tests import tiny

TREE = ArchTree(list(tiny.SPACE))
BATCHES = 6
SIZES = np.full(BATCHES, 3)


def groups() -> np.ndarray:
    edges = FlopsGroups(tiny.EDGES)
    flops = np.array([arch.flops(32, 3) for arch in (tiny.SPACE[row] for row in range(len(tiny.SPACE)))])
    return np.array([*edges.names, ''])[edges.assign(flops)]


def measured(quantities) -> NodeScores:
    scores, rng = NodeScores(TREE, quantities, BATCHES), np.random.default_rng(0)
    for unit in range(TREE.num_units):
        scores.put(unit, 0, {quantity: (10.**index * rng.normal(3, 1, (owned.stop - owned.start, BATCHES))).astype(np.float32)
                             for index, quantity in enumerate(quantities)
                             for owned in [TREE.owned(3 if quantity.startswith(('c5', 'gap', 'z')) else 2, unit)]})
    return scores


def task_scores(scores: NodeScores, names: np.ndarray, measure: str, sizes=SIZES) -> TaskScores:
    """Of scores that are sums over the images of a batch."""
    sums = {quantity: scores.of(quantity) for quantity in scores.quantities}
    return TaskScores(sums, sizes, measure, scales_of(sums, sizes, names))


def test_the_papers_is_the_plain_mean():
    scores = measured(('c4', 'c5'))
    task = task_scores(scores, groups(), 'paper')
    rows = np.array([3, 17])
    np.testing.assert_array_equal(task.of('c4-c5', rows), (scores.of('c4', rows) / 3 + scores.of('c5', rows) / 3) / 2)
    np.testing.assert_allclose(task.mean('c4-c5')[rows], task.of('c4-c5', rows).mean(axis=1), rtol=1e-6)


def test_batches_of_different_sizes():
    """The mean over batches is the mean over images."""
    sums = {'c5': np.array([[6.0, 8.0], [3.0, 12.0]])}
    task = TaskScores(sums, np.array([3, 4]), 'paper', {})
    np.testing.assert_allclose(task.mean('c5'), [2, 15 / 7])
    np.testing.assert_allclose(task.of('c5', np.arange(2)).mean(axis=1), task.mean('c5'))


def test_quantities_of_any_unit_weigh_alike():
    quantities = quantities_of(['c4-c5'], 'combined')
    scores, names = measured(quantities), groups()
    task = task_scores(scores, names, 'combined')
    expected = np.zeros(len(TREE))
    for quantity in quantities:
        means = scores.of(quantity, np.arange(len(TREE))).mean(axis=1) / 3
        gaps = [means[names == name] - means[names == name].mean() for name in set(names)]
        within = np.sqrt((np.concatenate(gaps)**2).mean())
        expected += (means - means.mean()) / within / len(quantities)
    np.testing.assert_allclose(task.mean('c4-c5'), expected, rtol=1e-9, atol=1e-9)
    rows = np.arange(5)
    np.testing.assert_allclose(task.of('c4-c5', rows).mean(axis=1), expected[rows], rtol=1e-6, atol=1e-6)


def test_one_arch_has_no_spread():
    tree = ArchTree([tiny.SPACE.max])
    scores = NodeScores(tree, ('gap:relations', 'gap:readout'), 2)
    scores.put(0, 0, {'gap:relations': np.full((1, 2), -2, np.float32), 'gap:readout': np.full((1, 2), 0.5, np.float32)})
    assert task_scores(scores, np.array(['']), 'combined', np.ones(2)).mean('z').tolist() == [0]


def test_a_feature_that_all_archs_share_adds_nothing():
    tree = ArchTree([Arch.from_numbers([4, 4, 1, 8, 1, 8, 1, 16 + extra, 1]) for extra in range(117)])
    quantities, rng = ('c4:relations', 'c5:relations'), np.random.default_rng(0)
    scores = NodeScores(tree, quantities, 1000)
    scores.put(0, 0, {'c4:relations': rng.normal(size=(1, 1000)).astype(np.float32),
                      'c5:relations': rng.normal(size=(117, 1000)).astype(np.float32)})
    task = task_scores(scores, np.repeat(['a', 'b'], [58, 59]), 'relations', np.full(1000, 2))
    alone = NodeScores(tree, quantities[1:], 1000)
    alone.put(0, 0, {'c5:relations': scores.of('c5:relations', np.arange(117))})
    expected = task_scores(alone, np.repeat(['a', 'b'], [58, 59]), 'relations', np.full(1000, 2)).mean('c5') / 2
    np.testing.assert_allclose(task.mean('c4-c5'), expected, atol=1e-6)
    assert np.abs(task.of('c4-c5', np.arange(3))).max() < 1000


def test_what_tasks_need():
    assert quantities_of(['z', 'c4-c5'], 'paper') == ('c4', 'c5', 'z')
    assert quantities_of(['z', 'c5'], 'combined') == ('c5:relations', 'c5:readout', 'gap:relations', 'gap:readout')
    assert quantities_of_task('c4-c5', 'cka') == ('c4:cka', 'c5:cka')
    assert quantities_of(['z', 'c5']) == ('c5', 'gap:relations')
    assert all(quantities_of(TASKS, measure) for measure in MEASURES)


@pytest.mark.parametrize('tasks, measure, message', [
    (['c9'], 'paper', "'c9' is not a task; choose from z, c5"), ([], 'cka', 'no task is given'),
    (['z'], ['cka'], 'choose from paper'), (['z'], 'flops', "'flops' is not a measure; choose from paper, relations")])
def test_what_is_unknown(tasks, measure, message):
    with pytest.raises(UserError, match=message):
        quantities_of(tasks, measure)
