from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from rich.console import Console
from scipy.stats import kendalltau, spearmanr

from gaia_ssl.errors import UserError
from gaia_ssl.evaluation.rank_report import correlation_table
from gaia_ssl.search.domains import against_scores, agreement, compare_winners, distinct_names, join_rankings
from gaia_ssl.search.domains_report import agreement_table, winners_table
from gaia_ssl.search.rank_plots import plot_domains
from gaia_ssl.search.ranking import read_ranking
from gaia_ssl.space import FlopsGroups
from tests import tiny

NAMES = ('cars', 'leaves')
TASKS = ['z', 'c5']


@pytest.fixture
def rankings() -> list[pd.DataFrame]:
    """Two searches of the tiny space: the one on leaves lacks two archs."""
    rng = np.random.default_rng(0)
    flops = np.array([arch.flops(32, 3) for arch in tiny.SPACE])
    names = np.array([*FlopsGroups(tiny.EDGES).names, ''])[FlopsGroups(tiny.EDGES).assign(flops)]
    common = dict(arch=list(map(str, tiny.SPACE)), group=names, flops=flops, params=[arch.params(3) for arch in tiny.SPACE])
    shared = rng.normal(size=32)
    a, b = (pd.DataFrame(dict(common, z=shared + rng.normal(size=32), c5=rng.normal(size=32))) for _ in range(2))
    return [a, b.sample(frac=1, random_state=1)[2:]]


def test_the_rankings_correlate_as_scipy_says(rankings):
    table = join_rankings(*rankings, TASKS, NAMES)
    both = rankings[0].merge(rankings[1], on='arch')
    assert len(table) == 30
    found = agreement(table, TASKS, NAMES, resamples=20)
    for task in TASKS:
        rows = found[(found['score'] == f'{task} on cars') & (found['scope'] == 'all')].set_index('predictor')
        expected = spearmanr(both[f'{task}_x'], both[f'{task}_y']).statistic
        assert rows.loc[f'{task} on leaves', 'spearman'] == pytest.approx(expected)
        expected = kendalltau(both[f'{task}_x'], both['flops_x']).statistic
        assert rows.loc['flops', 'kendall'] == pytest.approx(expected)


def test_winners_of_both(rankings):
    table = join_rankings(*rankings, TASKS, NAMES)
    table['score'] = np.where(table['arch'].isin(table['arch'][:20]), np.arange(30.0), np.nan)
    found = compare_winners(table, TASKS, NAMES)
    assert found[['task', 'group']].to_numpy().tolist() == [[t, g] for t in TASKS for g in ('1.1-2M', '2-3M', '3-4.1M')]
    for row in found.to_dict('records'):
        members = table[table['group'] == row['group']].set_index('arch')
        best = [members[f'{row["task"]} on {name}'].idxmax() for name in NAMES]
        assert [row['winner_a'], row['winner_b']] == best and row['same'] == (best[0] == best[1])
        order = members[f'{row["task"]} on cars'].sort_values(ascending=False).index.tolist()
        assert row['rank_of_b'] == order.index(best[1]) + 1 and row['archs'] == len(members)
        np.testing.assert_equal([row['score_a'], row['score_b']], members.loc[best, 'score'].tolist())
    assert found['score_a'].isna().any() or found['score_b'].isna().any()
    assert 'score_a' not in compare_winners(table.drop(columns='score'), TASKS, NAMES)
    assert len(compare_winners(table.assign(group=''), TASKS, NAMES)) == 0


def test_scores_are_predicted_by_one_and_not_the_other(rankings):
    table = join_rankings(*rankings, ['c5'], NAMES)
    table['score'] = table['c5 on cars'] ** 3
    rows = against_scores(table, ['c5'], NAMES, resamples=200).set_index(['scope', 'predictor'])
    row = rows.loc[('all', 'c5 on cars')]
    assert row['spearman'] == pytest.approx(1) and row['baseline'] == 'c5 on leaves'
    assert row['spearman_gain'] == pytest.approx(1 - spearmanr(table['c5 on leaves'], table['score']).statistic)
    assert row['spearman_gain_low'] > 0
    assert np.isfinite(rows.loc[('all', 'params'), 'kendall'])


def test_rankings_that_cannot_be_compared(rankings):
    a, b = rankings
    with pytest.raises(UserError, match='2 archs are in both rankings, of 2 and 30'):
        join_rankings(a[a['arch'].isin(b['arch'])][:2], b, TASKS, NAMES)
    with pytest.raises(UserError, match='differ in the FLOPs of .*one resolution'):
        join_rankings(a, b.assign(flops=b['flops'] + 1), TASKS, NAMES)


@pytest.mark.parametrize('a, b, names', [
    ('/data/cifar10/train', '/data/imagenette/train', ('cifar10-train', 'imagenette-train')),
    ('/data/coco', '/data/voc', ('coco', 'voc')),
    ('/train', '/data/train', ('train', 'data-train')),
])
def test_names(a, b, names):
    assert distinct_names(Path(a), Path(b)) == names


def test_tables_are_narrow_and_the_picture_is_drawn(rankings, tmp_path):
    table = join_rankings(*rankings, TASKS, NAMES)
    table['score'] = table['c5 on cars'].where(table.index > 3)
    winners, found = compare_winners(table, TASKS, NAMES), agreement(table, TASKS, NAMES, resamples=20)
    scored = against_scores(table.dropna(subset='score'), TASKS, NAMES, resamples=20)
    for each in (winners_table(winners, NAMES), agreement_table(found, TASKS, NAMES),
                 correlation_table(scored, 'scores', 'on leaves')):
        assert Console(width=200).measure(each).maximum <= 110
    plot_domains(table, TASKS, NAMES, winners, found, tmp_path / 'domains.png')
    with Image.open(tmp_path / 'domains.png') as picture:
        assert picture.format == 'PNG' and len(set(picture.convert('RGB').getdata())) > 100


def test_reading_a_ranking(rankings, tmp_path):
    path = tmp_path / 'ranking.csv'
    rankings[0].assign(c2=0.0, latency_ms=1.0).to_csv(path, index=False)
    read = read_ranking(path)
    assert list(read) == ['arch', 'group', 'flops', 'params', 'z', 'c5']
    pd.testing.assert_frame_equal(read, rankings[0], check_dtype=False)
    assert list(read_ranking(path, ['c5']))[4:] == ['c5']
    with pytest.raises(UserError, match="no column 'c2-c5'; it was searched for z, c5"):
        read_ranking(path, ['c2-c5'])
    rankings[0].drop(columns=TASKS).to_csv(path, index=False)
    with pytest.raises(UserError, match='no column of a task'):
        read_ranking(path)
    rankings[0].drop(columns='group').to_csv(path, index=False)
    with pytest.raises(UserError, match="no column 'group'"):
        read_ranking(path)
