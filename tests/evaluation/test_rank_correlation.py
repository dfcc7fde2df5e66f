import numpy as np
import pandas as pd
import pytest
from scipy.stats import kendalltau, spearmanr

from gaia_ssl.errors import UserError
from gaia_ssl.evaluation import rank_correlation
from gaia_ssl.evaluation.rank_correlation import correlate, draw_archs, notes_of, resample_counts
from tests import tiny


@pytest.fixture
def table() -> pd.DataFrame:
    """40 subnets in groups of 19, 14 and 3, and 4 outside; all columns have ties."""
    rng = np.random.default_rng(0)
    group = ['1-2G'] * 19 + ['2-3G'] * 14 + ['3-4G'] * 3 + [''] * 4
    flops = np.r_[rng.integers(10, 20, 19), rng.integers(20, 30, 14), rng.integers(30, 40, 3), rng.integers(40, 50, 4)]
    score = rng.normal(size=40).round(1)
    table = pd.DataFrame(dict(group=group, flops=flops, params=rng.integers(0, 9, 40), score=score,
                              c5=(score + rng.normal(size=40)).round(1)))
    return table.sample(frac=1, random_state=0, ignore_index=True)


def by_scipy(x, y) -> np.ndarray:
    return np.array([spearmanr(x, y).statistic, kendalltau(x, y).statistic])


def resampled(rows: pd.DataFrame, predictor: str, stream: int, resamples: int = 200) -> np.ndarray:
    """(resamples, 2), each resample written out."""
    counts = resample_counts(len(rows), resamples, 3, stream)
    assert counts.shape == (resamples, len(rows)) and (counts.sum(axis=1) == len(rows)).all()
    drawn = (rows.iloc[np.repeat(np.arange(len(rows)), count)] for count in counts)
    return np.array([by_scipy(each[predictor], each['score']) for each in drawn])


def check(row: pd.Series, statistic: int, own: float, drawn: np.ndarray, suffix: str = '') -> None:
    name = ('spearman', 'kendall')[statistic] + suffix
    expected = own, *np.quantile(drawn, [0.05, 0.95])
    np.testing.assert_allclose(row[[name, f'{name}_low', f'{name}_high']].astype(float), expected, atol=1e-12)


def test_figures_and_intervals_are_scipys(table):
    """Estimates, and intervals from the same resamples with every duplicate written out; overall, in groups and within."""
    found = correlate(table, ['c5', 'flops'], 'score', resamples=200, level=0.9, seed=3).set_index(['scope', 'predictor'])
    groups = [table[table['group'] == name] for name in ('1-2G', '2-3G')]
    for stream, (scope, rows) in enumerate([('all', table), *zip(('1-2G', '2-3G'), groups, strict=True)]):
        own = {name: by_scipy(rows[name], rows['score']) for name in ('c5', 'flops')}
        drawn = {name: resampled(rows, name, stream) for name in ('c5', 'flops')}
        for statistic in (0, 1):
            row = found.loc[(scope, 'c5')]
            check(row, statistic, own['c5'][statistic], drawn['c5'][:, statistic])
            check(row, statistic, (own['c5'] - own['flops'])[statistic], (drawn['c5'] - drawn['flops'])[:, statistic], '_gain')
            assert found.loc[(scope, 'flops'), 'spearman_gain'] == 0

    def pooled(values: list[np.ndarray]) -> np.ndarray:
        return (19 * values[0] + 14 * values[1]) / 33

    own = pooled([by_scipy(rows['c5'], rows['score']) for rows in groups])
    drawn = pooled([resampled(rows, 'c5', stream) for stream, rows in enumerate(groups, start=1)])
    flops = pooled([resampled(rows, 'flops', stream) for stream, rows in enumerate(groups, start=1)])
    row = found.loc[('within groups', 'c5')]
    assert row['archs'] == 33
    check(row, 0, own[0], drawn[:, 0])
    check(row, 1, own[1], drawn[:, 1])
    assert row['spearman_gain_low'] == pytest.approx(np.quantile(drawn - flops, 0.05, axis=0)[0])


def test_small_groups_are_listed_and_not_computed(table):
    found = correlate(table, ['c5'], 'score')
    assert found['scope'].tolist() == ['all', 'within groups', '1-2G', '2-3G', '3-4G']  # by FLOPs, without what lies outside
    assert found['archs'].tolist() == [40, 33, 19, 14, 3]
    assert found['spearman'].notna().tolist() == [True, True, True, True, False]
    assert notes_of(found) == ['groups of fewer than 5 subnets are not computed: 3-4G (3)']


def test_bigger_is_better_between_groups_counts_for_nothing_within():
    """Each group's best is worse than the next group's worst; inside, (1, 2, 3, 4, 5) against (2, 5, 3, 1, 4) is 0."""
    inside = np.array([1, 2, 3, 4, 5]), np.array([2, 5, 3, 1, 4])
    assert spearmanr(*inside).statistic == pytest.approx(0)
    offsets = 100 * np.arange(20).repeat(5)
    table = pd.DataFrame(dict(group=[f'{i}-{i + 1}G' for i in range(20) for _ in range(5)],
                              flops=offsets + np.tile(inside[0], 20), score=offsets + np.tile(inside[1], 20)))
    table['better'] = table['score']
    found = correlate(table, ['better', 'flops'], 'score', resamples=50).set_index(['scope', 'predictor'])
    assert found.loc[('all', 'flops'), 'spearman'] == pytest.approx(1, abs=0.01)
    assert found.loc[('within groups', 'flops'), 'spearman'] == pytest.approx(0)
    row = found.loc[('within groups', 'better')]
    assert row['spearman'] == row['spearman_gain'] == pytest.approx(1) and row['spearman_gain_low'] > 0.5


def test_the_pooled_figure_weighs_groups_by_their_subnets():
    """Nine subnets in perfect order and six in reverse: (9 - 6) / 15."""
    table = pd.DataFrame(dict(group=['a'] * 9 + ['b'] * 6, flops=np.arange(15), score=np.r_[0:9, 14:8:-1]))
    found = correlate(table, ['flops'], 'score', resamples=20).set_index('scope')
    assert found.loc['within groups', ['spearman', 'kendall']].tolist() == pytest.approx([0.2, 0.2])


def test_the_seed_decides_the_resamples(table):
    first, again, other = (correlate(table, ['c5'], 'score', resamples=50, seed=seed) for seed in (0, 0, 1))
    pd.testing.assert_frame_equal(first, again)
    assert (first['spearman'] == other['spearman'])[:4].all() and (first['spearman_low'] != other['spearman_low']).all()


def test_constant_columns_have_no_correlation(table):
    found = correlate(table.assign(score=1.0), ['c5', 'flops'], 'score')
    assert found.filter(like='spearman').isna().all(axis=None) and found.filter(like='kendall').isna().all(axis=None)
    assert 'score is the same for all subnets, so that no correlation with it is defined' in notes_of(found)
    found = correlate(table.assign(c5=1.0), ['c5', 'flops'], 'score')
    assert 'c5: the same for all subnets, so that no correlation is defined' in notes_of(found)
    assert found[found['predictor'] == 'flops'].loc[lambda rows: rows['archs'] > 3, 'spearman_low'].notna().all()


def test_a_group_without_a_correlation_is_left_out_of_the_pooled_figure(table):
    constant = table['group'] == '2-3G'
    found = correlate(table.assign(c5=table['c5'].mask(constant, 0)), ['c5'], 'score').set_index('scope')
    assert np.isnan(found.loc['2-3G', 'spearman'])
    assert found.loc['within groups', 'spearman'] == found.loc['1-2G', 'spearman']


def test_no_groups_at_all(table):
    found = correlate(table.assign(group=''), ['c5'], 'score').set_index('scope')
    assert found.index.tolist() == ['all', 'within groups'] and np.isnan(found.loc['within groups', 'spearman'])


def test_few_and_very_many_subnets(table, monkeypatch):
    with pytest.raises(UserError, match='needs 3 subnets or more, and 50 to say much; there are 2'):
        correlate(table[:2], ['c5'], 'score')
    assert '19 subnets are few' in notes_of(correlate(table[:19], ['c5'], 'score'))[0]
    monkeypatch.setattr(rank_correlation, 'MAX_BOOTSTRAP', 18)
    found = correlate(table, ['c5'], 'score').set_index('scope')
    assert found['spearman_low'].notna().tolist() == [False, False, False, True, False]
    assert found.loc['all', 'kendall'] == pytest.approx(kendalltau(table['c5'], table['score']).statistic)


@pytest.mark.parametrize('settings', [dict(resamples=0), dict(level=1.0), dict(seed=-1)])
def test_settings_without_sense(table, settings):
    with pytest.raises(UserError, match='give 1 or more, a number between 0 and 1, and 0 or more'):
        correlate(table, ['c5'], 'score', **settings)


def test_draws_are_distinct_uniform_and_nested():
    one = ['all'] * 32
    ten, twenty = draw_archs(tiny.SPACE, one, 10, 0), draw_archs(tiny.SPACE, one, 20, 0)
    assert len(set(twenty)) == 20 and twenty[:10] == ten and draw_archs(tiny.SPACE, one, 10, 1) != ten
    assert sorted(draw_archs(tiny.SPACE, one, 99, 0)) == sorted(tiny.SPACE)
    drawn = [tiny.SPACE.index(arch) for seed in range(400) for arch in draw_archs(tiny.SPACE, one, 4, seed)]
    counts = np.bincount(drawn, minlength=32)
    assert ((counts - 50)**2 / 50).sum() < 61.1  # chi-squared, 31 degrees of freedom: 0.1 %


def test_each_group_has_its_share_of_a_draw():
    groups = np.array(['few'] * 3 + ['many'] * 21 + [''] * 8)
    names = [groups[tiny.SPACE.index(arch)] for arch in draw_archs(tiny.SPACE, groups, 18, 0)]
    assert names.count('few') == 3 and abs(names.count('many') - names.count('')) <= 1
    six = [groups[tiny.SPACE.index(arch)] for arch in draw_archs(tiny.SPACE, groups, 6, 1)]
    assert sorted(six) == sorted(['few', 'many', ''] * 2)
