import json

import pytest

from gaia_ssl.checkpoint import file_hash
from gaia_ssl.errors import UserError
from gaia_ssl.export.winner import read_winner
from tests import tiny


def line(arch: str, similarity: float) -> dict:
    return dict(arch=arch, flops=1, params=1, similarity=similarity, low=similarity - 0.1, high=similarity + 0.1, contenders=3)


SMALL, LARGE = '4-4x1-8x1-8x1-16x1', '8-8x2-8x1-16x2-16x1'


@pytest.fixture
def search(tmp_path):
    checkpoint = tiny.save_supernet(tmp_path / 'supernet.pth')
    best = {'c2-c5': {'1-2G': line(SMALL, -0.2), '3-4G': line(LARGE, -0.1)},
            'z': {'1-2G': line(SMALL, 0.7), '3-4G': line(SMALL, 0.9)}}
    found = dict(checkpoint='work_dirs/supernet.pth', checkpoint_sha256=file_hash(checkpoint), images=8)
    (tmp_path / 'best.json').write_text(json.dumps(dict(best=best, search=found)))
    return tmp_path


def read(search, features=('c2-c5', ), group=None, checkpoint=None):
    return read_winner(search / 'best.json', checkpoint or search / 'supernet.pth', features, group)


def test_the_winner_of_a_group(search):
    winner = read(search, group='3-4')
    assert (str(winner.arch), winner.features, winner.group) == (LARGE, 'c2-c5', '3-4G')
    assert winner.scores['similarity'] == -0.1 and winner.search['images'] == 8
    assert read(search, group='3-4G') == winner == read_winner(search, search / 'supernet.pth', ['c2-c5'], '3-4')
    assert str(read(search, ['z'], '3-4').arch) == SMALL
    assert str(read(search, ['z', 'c2-c5'], '1-2').arch) == SMALL  # both tasks have it


@pytest.mark.parametrize('features, group, message', [
    (['c2-c5'], None, 'has several groups; give --group with one of 1-2G, 3-4G'),
    (['c2-c5'], '3', "has no group '3'; give --group with one of 1-2G, 3-4G"),
    (['c5'], '3-4', r"has no winner for c5, but for c2-c5, z; search with --task c5"),
    (['z', 'c2-c5'], '3-4', f'different winners .z: {SMALL}, c2-c5: {LARGE}.; export each task'),
    ([], '3-4', 'has winners for c2-c5, z; say which with --features'),
])
def test_what_is_not_there(search, features, group, message):
    with pytest.raises(UserError, match=message) as info:
        read(search, features, group)
    assert '\n' not in str(info.value)


def test_another_checkpoint(search):
    other = tiny.save_supernet(search / 'other.pth', seed=1)
    with pytest.raises(UserError, match='ranks the subnets of work_dirs/supernet.pth, not of .*other.pth'):
        read(search, group='3-4', checkpoint=other)


@pytest.mark.parametrize('text', ['', '[]', '{"best": {}}', '{"best": {}, "search": {}}'])
def test_no_best_json(search, text):
    (search / 'best.json').write_text(text)
    with pytest.raises(UserError, match='not a best.json of tools/search.py'):
        read(search)
    (search / 'best.json').unlink()
    with pytest.raises(UserError, match='best.json: no such file'):
        read(search)


WRONG_SCORES = dict(
    arch=[None, 5, '', 'x', [], '0-1x1-1x1-1x1-1x1'], similarity=[None, 'high', [], float('nan'), True],
    contenders=['x\n# y', -1, 0.5, []], low=['a', [], float('inf')], high=['a', {}])


@pytest.mark.parametrize('name', WRONG_SCORES)
def test_scores_of_another_type(search, name):
    path = search / 'best.json'
    content = json.loads(path.read_text())
    for value in WRONG_SCORES[name]:
        content['best']['c2-c5']['3-4G'] = dict(line(LARGE, -0.1), **{name: value})
        path.write_text(json.dumps(content))
        with pytest.raises(UserError, match='best.json: '):
            read(search, group='3-4')


@pytest.mark.parametrize('change', [
    lambda c: c.update(best=[]), lambda c: c.update(best=5), lambda c: c.update(search=None), lambda c: c.update(search='x'),
    lambda c: c['best'].update({'c2-c5': []}), lambda c: c['best'].update({'c2-c5': 'x'}),
    lambda c: c['best']['c2-c5'].update({'3-4G': [1]}), lambda c: c['best']['c2-c5'].update({'3-4G': None}),
    lambda c: c['search'].update(checkpoint_sha256=5), lambda c: c['search'].update(images='{{x}}'),
    lambda c: c['search'].update(resolution=[224]), lambda c: c['search'].pop('checkpoint_sha256'),
])
def test_tables_of_another_type(search, change):
    path = search / 'best.json'
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    with pytest.raises(UserError, match='not a best.json of tools/search.py'):
        read(search, group='3-4')


def test_unknown_features(search):
    path = search / 'best.json'
    content = json.loads(path.read_text())
    content['best'] = {'c5 | x': content['best']['z']}
    path.write_text(json.dumps(content))
    with pytest.raises(UserError, match='there are no features'):
        read(search, [], '3-4')
