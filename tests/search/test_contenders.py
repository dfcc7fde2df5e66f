"""Coverage by simulation, and the test's parts against other people's code."""

import numpy as np
import pytest
from scipy.stats import norm, t, ttest_rel

from gaia_ssl.search import contenders
from gaia_ssl.search.contenders import expected_regret, may_be_best


def simulated(archs: int, batches: int, factors: int, seed: int) -> np.ndarray:
    """Noise of archs that correlate by so many common factors."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=(archs, batches)) * np.linspace(0.5, 2, archs)[:, None]
    return noise + rng.normal(size=(archs, factors)) @ rng.normal(size=(factors, batches))


@pytest.mark.parametrize('batches', [2, 7])
@pytest.mark.parametrize('factors', [0, 3])
def test_the_best_of_equals_is_kept_as_often_as_promised(batches, factors):
    """The hardest case, in which the test is exact."""
    kept = [may_be_best(simulated(6, batches, factors, seed), alpha=0.2, seed=seed) for seed in range(200)]
    assert np.mean(kept) == pytest.approx(0.8, abs=0.04)  # each of the equal archs has that chance


def test_worse_archs_make_it_more_careful():
    means = np.linspace(0, -1.5, 12)[:, None]
    kept = np.mean([may_be_best(means + simulated(12, 6, 2, seed), alpha=0.2, seed=seed) for seed in range(60)], axis=0)
    assert kept[0] > 0.8 and kept[0] > kept[4] > kept[11]


def test_two_archs_are_compared_by_the_paired_t_test():
    values = np.random.default_rng(0).normal(size=(2, 7)) + [[1], [0]]
    p_value = ttest_rel(*values, alternative='greater').pvalue
    assert 0.001 < p_value < 0.2
    assert may_be_best(values, p_value * 0.999).tolist() == [True, True]
    assert may_be_best(values, p_value * 1.001).tolist() == [True, False]


def test_p_values_are_those_of_plain_rotations():
    rng = np.random.default_rng(0)
    gaps = rng.normal(size=(30, 6)) + 0.4
    lengths = np.linalg.norm(gaps, axis=1, keepdims=True)
    observed = (gaps / lengths).sum(axis=1).max() / np.sqrt(6)
    directions = rng.normal(size=(6, 200_000))
    directions /= np.linalg.norm(directions, axis=0)
    expected = ((gaps / lengths) @ directions > observed).any(axis=0).mean()
    found = np.mean([contenders._p_value(gaps, np.random.default_rng(seed)) for seed in range(20)])
    assert 0.005 < expected < 0.5 and found == pytest.approx(expected, rel=0.05)


def test_the_tail_is_students():
    cosines = np.array([-0.9, -0.1, 0, 0.3, 0.999])
    expected = t.sf(cosines * np.sqrt(7 / (1 - cosines**2)), 7)
    np.testing.assert_allclose(contenders._tail(cosines, 8), expected, rtol=1e-9)


def test_blocks_make_no_difference(monkeypatch):
    values = simulated(23, 6, 2, 0) - np.linspace(0, 5, 23)[:, None]
    expected, regret = may_be_best(values), expected_regret(values)
    monkeypatch.setattr(contenders, 'BLOCK_VALUES', 3000)
    assert 1 < expected.sum() < 23 and (may_be_best(values) == expected).all()
    assert expected_regret(values) == pytest.approx(regret, rel=1e-9)


@pytest.mark.filterwarnings('error')
def test_equal_archs_one_batch_and_one_arch():
    assert may_be_best(np.full((3, 4), 0.1)).all() and expected_regret(np.full((3, 4), 0.1)) == 0
    assert may_be_best(np.array([[1.0], [0.0]])).all() and np.isnan(expected_regret(np.array([[1.0], [0.0]])))
    assert may_be_best(np.zeros((1, 5))).tolist() == [True]
    constant = np.array([[0.1, 0.7, 0.3]]) + [[0], [-0.5], [0]]  # the same lead on each batch is beyond chance
    assert may_be_best(constant).tolist() == [True, False, True]


def test_expected_regret_is_that_of_the_next_winner():
    """Of two archs, their difference times the chance that the wrong one wins."""
    rng = np.random.default_rng(0)
    values = rng.normal(size=(2, 9))
    gap = values[0] - values[1]
    spread = gap.std(ddof=1) / 3
    values[0] += spread / 2 - gap.mean()
    assert expected_regret(values, draws=40_000) == pytest.approx(spread / 2 * norm.sf(0.5), rel=0.05)
