"""tools/rank_correlation.py and tools/compare_domains.py on the tiny supernet and labelled photos."""

import json
import os
import shutil
import time
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy.stats import spearmanr

from gaia_ssl import cli
from gaia_ssl.evaluation.rivals import RIVALS
from tests import tiny

TASKS = ['z', 'c5', 'c4-c5', 'c2-c5']
RANK, COMPARE = 'rank_correlation', 'compare_domains'


@pytest.fixture(scope='module')
def given(tmp_path_factory) -> SimpleNamespace:
    """A config, a checkpoint, labelled photos, and two folders without labels."""
    root = tmp_path_factory.mktemp('rank')
    return SimpleNamespace(
        root=root, data=tiny.overlapping_photos(root / 'labelled', train=30, val=20),
        a=tiny.photos(root / 'cars' / 'train', 8, seed=1), b=tiny.photos(root / 'leaves' / 'train', 8, seed=2),
        config=tiny.write_config(root / 'tiny.py', tiny.photos(root / 'data', 8)),
        checkpoint=tiny.save_supernet(root / 'supernet.pth'))


@pytest.fixture
def tool(monkeypatch, capfd):
    """``tool(name, *arguments)`` runs a tool in this process: what it prints, or the one line of its error."""
    def call(name: str, *arguments: object) -> str:
        monkeypatch.setattr('sys.argv', [f'tools/{name}.py', *map(str, arguments)])
        capfd.readouterr()
        try:
            cli.run(tiny.load_tool(name).main)
        except SystemExit as exit:
            lines = capfd.readouterr().err.splitlines()
            assert exit.code == 1 and len(lines) == 1 and lines[0].startswith('error: '), (exit.code, lines)
            return lines[0]
        return capfd.readouterr().out

    for name, value in (('TORCH_FORCE_WEIGHTS_ONLY_LOAD', '1'), ('LOCAL_RANK', '0')):
        monkeypatch.setenv(name, value)  # so that what a tool sets is put back
        monkeypatch.delenv(name)
    return call


def read(path) -> pd.DataFrame:
    return pd.read_csv(path, keep_default_na=False, na_values={'score': ['']})


@pytest.fixture(scope='module')
def judged(given) -> SimpleNamespace:
    """A whole run as a process: 12 subnets, two scores."""
    folder = given.root / 'judged'
    result = tiny.run_tool('rank_correlation.py', given.config, given.checkpoint, '--data', given.data, '--score', 'knn',
                           'semi-10', '--num', 12, '--resolution', 32, '--work-dir', folder, '-k', 5, '--resamples', 50,
                           timeout=900)
    assert result.returncode == 0, result.stderr
    return SimpleNamespace(folder=folder, out=result.stdout)


def test_the_whole_way(given, judged):
    table = read(judged.folder / 'subnets.csv')
    assert list(table) == ['arch', 'group', 'flops', 'params', *TASKS, 'knn', 'semi-10'] and len(table) == 12
    assert table['arch'].is_unique and set(table['arch']) <= set(map(str, tiny.SPACE))
    assert sorted(table['group'].value_counts()) == [1, 3, 4, 4]  # the max arch lies outside all groups
    assert set(table['group']) <= {'', '1.1-2M', '2-3M', '3-4.1M'} and table['knn'].between(0, 1).all()
    ranking = read(judged.folder / 'search' / 'ranking.csv').set_index('arch')
    assert table['c5'].tolist() == ranking.loc[table['arch'], 'c5'].tolist()
    scores = read(judged.folder / 'scores' / 'knn.csv').set_index('arch')['score']
    assert table['knn'].tolist() == scores[table['arch']].tolist()

    found = pd.read_csv(judged.folder / 'correlations.csv').set_index(['score', 'scope', 'predictor'])
    for score in ('knn', 'semi-10'):
        for predictor in (*TASKS, 'flops', 'params'):
            expected = spearmanr(table[predictor], table[score]).statistic
            assert found.loc[(score, 'all', predictor), 'spearman'] == pytest.approx(expected)
            assert np.isfinite(found.loc[(score, 'all', predictor), 'spearman_low']) and f'{expected:+.2f}' in judged.out
    content = json.loads((judged.folder / 'correlations.json').read_text())
    assert len(content['correlations']) == len(found) and content['found']['subnets'] == 12
    assert 'FLOPs alone' in judged.out and 'note: 12 subnets are few' in judged.out
    with Image.open(judged.folder / 'scatter.png') as picture:
        assert picture.format == 'PNG' and len(set(picture.convert('RGB').resize((200, 100)).getdata())) > 20


def test_a_killed_run_goes_on(given, judged, tmp_path):
    """Finished scores are kept, and the outcome is that of the undisturbed run."""
    folder = tmp_path / 'run'
    command = ('rank_correlation.py', given.config, given.checkpoint, '--data', given.data, '--score', 'knn', 'semi-10',
               '--num', 12, '--resolution', 32, '--work-dir', folder, '-k', 5, '--resamples', 50)
    process = tiny.start_tool(*command)
    scores = folder / 'scores' / 'knn.csv'
    while not (scores.exists() and scores.read_text().count('\n') > 3):
        assert process.poll() is None, process.communicate()
        time.sleep(0.002)
    tiny.kill(process)
    kept = scores.read_text().rsplit('\n', 1)[0]
    assert not (folder / 'correlations.csv').exists()
    result = tiny.run_tool(*command, timeout=900)
    assert result.returncode == 1 and '--resume' in result.stderr.splitlines()[-1]
    result = tiny.run_tool(*command, '--resume', timeout=900)
    assert result.returncode == 0, result.stderr
    assert 'of 12 subnets are scored already' in result.stdout and scores.read_text().startswith(kept)
    for name in ('subnets.csv', 'correlations.csv', 'scores/knn.csv', 'scores/semi-10.csv'):
        assert (folder / name).read_bytes() == (judged.folder / name).read_bytes()


def test_own_scores_and_an_earlier_ranking(given, judged, tool, tmp_path):
    """Neither config nor checkpoint; other columns are ignored, other archs left out."""
    table = read(judged.folder / 'subnets.csv')
    further = next(str(arch) for arch in tiny.SPACE if str(arch) not in set(table['arch']))
    own = pd.DataFrame(dict(run=range(13), score=[*(-table['flops']), 1], arch=[*table['arch'], further]))
    own.to_csv(tmp_path / 'map.csv', index=False)
    out = tool(RANK, '--scores', tmp_path / 'map.csv', '--ranking', judged.folder / 'search' / 'ranking.csv', '--work-dir',
               tmp_path / 'run', '--tasks', 'c5')
    assert '1 of 13 scored archs are not in the ranking' in out and 'score in map.csv' in out
    found = pd.read_csv(tmp_path / 'run' / 'correlations.csv').set_index(['scope', 'predictor'])
    assert found.loc[('all', 'flops'), 'spearman'] == -1 and ('all', 'z') not in found.index
    assert not (tmp_path / 'run' / 'search').exists()


def test_own_scores_are_searched_for(given, tool, tmp_path):
    own = pd.DataFrame(dict(arch=list(map(str, tiny.SPACE))[::5], score=np.arange(7.0)))
    own.to_csv(tmp_path / 'map.csv', index=False)
    out = tool(RANK, given.config, given.checkpoint, '--scores', tmp_path / 'map.csv', '--work-dir', tmp_path / 'run',
               '--cfg-options', "test_cfg.budgets={'flops': '1:2'}")
    assert 'note: 7 subnets are few' in out
    table = read(tmp_path / 'run' / 'subnets.csv')
    assert table['arch'].tolist() == own['arch'].tolist() and table['score'].tolist() == own['score'].tolist()


def test_a_small_space_is_taken_whole(given, judged, tool, tmp_path):
    """Sampled from a ranking; and a score is added to what an earlier call left."""
    ranking = judged.folder / 'search' / 'ranking.csv'
    arguments = RANK, given.config, given.checkpoint, '--ranking', ranking, '--data', given.data, '--work-dir', tmp_path / 'run'
    out = tool(*arguments, '-k', 5)
    assert 'there are only 12 subnets; taking all' in out
    assert 'already holds a run' in tool(*arguments)
    out = tool(*arguments, '-k', 5, '--resume', '--score', 'linear', 'knn')
    assert 'linear probe top-1 accuracy' in out
    assert list(read(tmp_path / 'run' / 'subnets.csv'))[-2:] == ['linear', 'knn']
    assert 'holds other scores (k was 5, now 4)' in tool(*arguments, '-k', 4, '--resume')
    other = tiny.save_supernet(tmp_path / 'other.pth', seed=7)
    line = tool(RANK, given.config, other, '--ranking', ranking, '--data', given.data, '--work-dir', tmp_path / 'other')
    assert 'of another checkpoint' in line


def test_rivals_stand_beside_the_tasks(given, judged, tool, tmp_path):
    folder = tmp_path / 'run'
    arguments = (RANK, given.config, given.checkpoint, '--ranking', judged.folder / 'search' / 'ranking.csv', '--data',
                 given.data, '-k', 5, '--resamples', 50, '--tasks', 'c5', '--work-dir', folder)
    out = tool(*arguments, '--rivals')
    table = read(folder / 'subnets.csv')
    assert set(table['arch']) == set(read(judged.folder / 'subnets.csv')['arch'])
    assert np.isfinite(table[list(RIVALS)]).all(axis=None) and (table[list(RIVALS)].nunique() > 6).all()
    assert table['rankme'].between(1, 60).all()  # of 60 training images
    found = pd.read_csv(folder / 'correlations.csv').set_index(['score', 'scope', 'predictor'])
    for rival in RIVALS:
        expected = spearmanr(table[rival], table['knn']).statistic
        assert found.loc[('knn', 'all', rival), 'spearman'] == pytest.approx(expected) and rival in out
    again = tool(*arguments, '--resume', '--rivals', 'zico')
    assert '12 of 12 subnets, rivals are scored already' in again and 'synflow' not in again


def test_what_makes_no_sense_is_refused_before_any_work(given, judged, tool, tmp_path):
    ranking, out = judged.folder / 'search' / 'ranking.csv', tmp_path / 'out'
    both = RANK, given.config, given.checkpoint, '--work-dir', out
    a, b = map(str, (tiny.SPACE[3], tiny.SPACE[20]))

    def scores(*rows: str):
        path = tmp_path / f'own{len(list(tmp_path.iterdir()))}.csv'
        path.write_text('\n'.join(['arch,score', *rows]))
        return '--scores', path

    for arguments, message in (
        ((*both, '--num', 2, '--data', given.data), '--num is 2; a rank correlation needs 3'),
        (both, '--score knn needs --data DIR'),
        ((RANK, given.config, '--data', given.data), 'give CONFIG and CHECKPOINT'),
        ((RANK, '--ranking', ranking, '--data', given.data), 'only --ranking together with --scores needs neither'),
        ((*both, '--data', given.a.parent), 'has no folder a class'),
        ((*both, '--data', given.root / 'nowhere'), 'no such folder'),
        ((*both, '--data', given.data, '-k', 99), 'kNN with k=99 needs 1 to 60'),
        ((*both, '--data', given.data, '--score', 'semi-1'), 'is none in 2 of 2 classes'),
        ((*both, '--data', given.data, '--seed', -1), '--seed -1'),
        ((*both, *scores(f'{a},1', f'{b},2'), '--rivals'), '--rivals needs CONFIG, CHECKPOINT and --data DIR'),
        ((RANK, given.config, given.config, '--data', given.data), 'no checkpoint'),
        ((*both, *scores(f'{a},1', f'{b},2')), 'needs 3 subnets or more, and 50 to say much; there are 2'),
        ((*both, *scores(f'{a},1', f'{b},2', '9-4x1-8x1-8x1-16x1,3')), 'is not one of the 32 archs of the space'),
        ((*both, *scores(f'{a},1', f'{b},2', f'{a},3')), 'is there twice'),
        ((*both, *scores(f'{a},1', f'{b},nan')), 'give a finite number'),
        ((*both, *scores(f'{a},1', f'{b},1')), 'all 2 scores are 1'),
        ((*both, '--scores', tmp_path / 'no.csv'), 'cannot be read'),
        ((RANK, '--ranking', ranking, *scores('9-4x1-8x1-8x1-16x1,1', '9-4x2-8x1-8x1-16x1,2')), 'no arch of --scores is in'),
    ):
        assert message in (line := tool(*arguments)), line
    assert not out.exists()


def test_two_domains(given, tool, tmp_path):
    """Searched here, then compared again from their rankings; with scores of some archs."""
    own = pd.DataFrame(dict(arch=list(map(str, tiny.SPACE))[:20], score=np.random.default_rng(0).normal(size=20)))
    own.to_csv(tmp_path / 'own.csv', index=False)
    folder = tmp_path / 'run'
    arguments = (COMPARE, given.config, given.checkpoint, '--images', given.a, given.b, '--work-dir', folder, '--archs', 'all',
                 '--scores', tmp_path / 'own.csv', '--resamples', 50)
    out = tool(*arguments)
    a, b = (read(folder / f'{name}-train' / 'ranking.csv').set_index('arch') for name in ('cars', 'leaves'))
    assert len(a) == len(b) == 32 and set(a.index) == set(b.index)
    assert not (a['c5'] == b['c5'][a.index]).any()  # other images, other similarities
    table = read(folder / 'similarities.csv')
    assert table['c5 on leaves-train'].tolist() == b.loc[table['arch'], 'c5'].tolist() and table['score'].notna().sum() == 20
    winners = read(folder / 'winners.csv')
    assert len(winners) == 12
    for row in winners.to_dict('records'):
        for ranking, winner in ((a, row['winner_a']), (b, row['winner_b'])):
            assert winner == ranking.loc[ranking['group'] == row['group'], row['task']].idxmax() and winner in out
    found = pd.read_csv(folder / 'correlations.csv').set_index(['score', 'scope', 'predictor'])
    expected = spearmanr(a['z'], b['z'][a.index]).statistic
    assert found.loc[('z on cars-train', 'all', 'z on leaves-train'), 'spearman'] == pytest.approx(expected)
    known = own.set_index('arch')['score']
    expected = spearmanr(b.loc[known.index, 'z'], known).statistic
    assert found.loc[('score', 'all', 'z on leaves-train'), 'spearman'] == pytest.approx(expected)
    assert 'Rank correlation with the downstream score' in out and (folder / 'domains.png').stat().st_size > 10_000

    first = (folder / 'winners.csv').read_bytes()
    assert 'already holds a run' in tool(*arguments)
    os.unlink(folder / 'winners.csv')
    tool(*arguments, '--resume')
    assert (folder / 'winners.csv').read_bytes() == first
    rankings = [folder / f'{name}-train' / 'ranking.csv' for name in ('cars', 'leaves')]
    out = tool(COMPARE, '--rankings', *rankings, '--names', 'cars', 'leaves', '--work-dir', tmp_path / 'again', '--tasks', 'c5')
    assert 'c5 on leaves' in (tmp_path / 'again' / 'correlations.csv').read_text() and 'best on cars' in out

    other = shutil.copytree(folder / 'leaves-train', tmp_path / 'other') / 'best.json'
    other.write_text(other.read_text().replace('"checkpoint_sha256": "', '"checkpoint_sha256": "0'))
    assert 'different checkpoints' in tool(COMPARE, '--rankings', rankings[0], tmp_path / 'other' / 'ranking.csv')


def test_domains_that_cannot_be_compared(given, judged, tool, tmp_path):
    ranking = judged.folder / 'search' / 'ranking.csv'
    table, out = read(ranking), tmp_path / 'out'
    for name, rows in (('few', table[:2]), ('z', table[['arch', 'group', 'flops', 'params', 'z']]),
                       ('c5', table[['arch', 'group', 'flops', 'params', 'c5']])):
        rows.to_csv(tmp_path / f'{name}.csv', index=False)
    (tmp_path / 'own.csv').write_text('arch,score\n9-4x1-8x1-8x1-16x1,1\n9-4x2-8x1-8x1-16x1,2\n')
    both = COMPARE, given.config, given.checkpoint, '--work-dir', out
    rankings = COMPARE, '--work-dir', out, '--rankings'
    for arguments, message in (
        ((*both, '--images', given.a, given.a), 'is given twice'),
        ((*both, '--images', given.a, given.root / 'nowhere'), 'no such folder'),
        ((*both, '--images', given.a, given.b, '--names', 'x', 'x'), 'give two different names'),
        ((*both, '--images', given.a, given.b, '--names', 'x', '../y'), 'give two different names'),
        ((*both, '--images', given.a, given.b, '--scores', tmp_path / 'own.csv'), 'is not one of the 32 archs'),
        ((COMPARE, given.config, '--images', given.a, given.b), 'give CONFIG and CHECKPOINT'),
        ((*both, '--rankings', ranking, ranking), '--rankings needs no CONFIG'),
        ((*rankings, ranking, tmp_path / 'nothing.csv'), 'cannot be read'),
        ((*rankings, ranking, tmp_path / 'few.csv'), '2 archs are in both rankings'),
        ((*rankings, tmp_path / 'z.csv', tmp_path / 'c5.csv'), 'no task in common'),
        ((*rankings, ranking, tmp_path / 'c5.csv', '--scores', tmp_path / 'own.csv'), '0 of its archs are in both rankings'),
    ):
        assert message in (line := tool(*arguments)), line
    assert not out.exists() or not any(out.iterdir())


def test_several_measures_side_by_side(given, judged, tool, tmp_path):
    subnets = judged.folder / 'subnets.csv'
    scores = tmp_path / 'scores.csv'
    read(subnets)[['arch', 'knn']].rename(columns={'knn': 'score'}).to_csv(scores, index=False)
    out = tool(RANK, given.config, given.checkpoint, '--scores', scores, '--tasks', 'c5', '--measures', 'paper', 'cka',
               '--work-dir', tmp_path / 'run', '--cfg-options', 'test_dataloader.batch_size=64',
               f"test_dataloader.dataset.data_root={given.data / 'train'}")
    table = read(tmp_path / 'run' / 'subnets.csv').set_index('arch')
    assert 'c5 (paper)' in out and 'c5 (cka)' in out and list(table)[3:5] == ['c5 (paper)', 'c5 (cka)']
    ranking = read(tmp_path / 'run' / 'search_cka' / 'ranking.csv').set_index('arch')
    assert table['c5 (cka)'].tolist() == ranking.loc[table.index, 'c5'].tolist()
    assert spearmanr(table['c5 (cka)'], ranking.loc[table.index, 'c5:cka']).statistic == pytest.approx(1)
