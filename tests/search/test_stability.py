"""The same search of several checkpoints: places by hand, and the tool on two supernets."""

import sys

import pandas as pd
import pytest
from scipy.stats import spearmanr

from gaia_ssl import ArchSpace
from gaia_ssl.errors import UserError
from gaia_ssl.search.stability import agreements, place_archs, winners_among
from tests import tiny


def ranking(*similarities: float) -> pd.DataFrame:
    return pd.DataFrame(dict(arch=list('abcde'), group=['1G'] * 4 + [''], flops=[3, 1, 2, 4, 9], c5=[*similarities, 99.0]))


def test_places_agreement_and_winners_by_hand():
    first, second = ranking(0.4, 0.3, 0.2, 0.1), ranking(0.1, 0.4, 0.35, 0.2)
    places = place_archs(dict(x=first, y=second.sample(frac=1, random_state=0)), ['c5'])
    assert places['arch'].tolist() == ['b', 'c', 'a', 'd']  # c and a have the same mean place, c is cheaper
    assert places['place on x'].tolist() == [2, 3, 1, 4] and places['place on y'].tolist() == [1, 2, 4, 3]
    assert places['lost on x'].tolist() == pytest.approx([0.1, 0.2, 0, 0.3])
    agreement = agreements(places, ['x', 'y']).iloc[0]
    assert agreement['spearman'] == pytest.approx(spearmanr(first['c5'][:4], second['c5'][:4]).statistic)
    winners = winners_among(places, ['x', 'y']).set_index('best_of')
    assert winners['arch'].to_dict() == dict(x='a', y='b', consensus='b')
    assert winners.loc['x', 'lost on y'] == pytest.approx(0.3) and winners.loc['x', 'place on y'] == 4


def search(monkeypatch, *arguments) -> None:
    monkeypatch.setattr(sys, 'argv', ['search.py', *map(str, arguments)])
    tiny.load_tool('search').main()


def test_the_tool(tmp_path, monkeypatch, capsys):
    config = tiny.write_config(tmp_path / 'tiny.py', tiny.photos(tmp_path / 'data', 8))
    files = [tiny.save_supernet(tmp_path / f'epoch_{seed}.pth', seed=seed) for seed in (1, 2)]
    other = tiny.save_supernet(tmp_path / 'other.pth', space=ArchSpace((4, 8), tiny.SPACE.widths, ((1, ), ) * 4))
    command = config, '--work-dir', tmp_path / 'run', '--checkpoints'
    for wrong, message in (([files[0]], 'two or more'), ([files[0]] * 2, 'two or more'), ([*files, other], 'another space'),
                           ([*files, '--race'], 'take --full')):
        with pytest.raises(UserError, match=message):
            search(monkeypatch, *command, *wrong)
    assert not (tmp_path / 'run').exists()
    search(monkeypatch, *command, *files)
    out = capsys.readouterr().out
    places = pd.read_csv(tmp_path / 'run' / 'places.csv')
    assert len(places) == 2 * 12 and {'place on 1-epoch_1', 'lost on 2-epoch_2', 'consensus'} <= set(places)
    winners = pd.read_csv(tmp_path / 'run' / 'winners.csv')
    assert len(winners) == 2 * 3 * 3 and (winners[winners['best_of'] == '1-epoch_1']['place on 1-epoch_1'] == 1).all()
    assert len(pd.read_csv(tmp_path / 'run' / 'agreement.csv')) == 2 and 'Spearman' in out
    assert (tmp_path / 'run' / '2-epoch_2' / 'best.json').exists()
