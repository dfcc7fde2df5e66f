import itertools
import json
import re

import numpy as np
import pytest

from gaia_ssl import DATA_SPACE, Arch, ArchSpace
from gaia_ssl.errors import UserError
from gaia_ssl.space import LatencyTable
from gaia_ssl.space.latency import blocks_of, blocks_of_space

SMALL = ArchSpace(stem=(4, 8), widths=((4, ), (4, 8), (8, ), (16, )), depths=((1, 3), (1, ), (2, 4), (1, )))


def random_table(space: ArchSpace, seed: int = 0, **provenance) -> LatencyTable:
    rng = np.random.default_rng(seed)
    times = {block: float(rng.uniform(0.1, 3)) for block in blocks_of_space(space)}
    return LatencyTable(times, dict(space=space.to_dict(), stem_kernel=7, **provenance))


def by_hand(table: LatencyTable, arch: Arch) -> float:
    """The sum, the keys spelt out."""
    (w1, w2, w3, w4), (d1, d2, d3, d4), ms = arch.widths, arch.depths, table.milliseconds
    firsts = [f'stem {arch.stem}', f'stage1 first {arch.stem}->{w1}', f'stage2 first {4 * w1}->{w2}',
              f'stage3 first {4 * w2}->{w3}', f'stage4 first {4 * w3}->{w4}']
    later = [(f'stage{s} next {w}', d - 1) for s, w, d in ((1, w1, d1), (2, w2, d2), (3, w3, d3), (4, w4, d4)) if d > 1]
    return sum(ms[block] for block in firsts) + sum(times * ms[block] for block, times in later)


def test_a_sum_by_hand():
    times = {'stem 4': 1.0, 'stage1 first 4->4': 2.0, 'stage1 next 4': 0.5, 'stage2 first 16->8': 3.0,
             'stage3 first 32->8': 4.0, 'stage3 next 8': 0.25, 'stage4 first 32->16': 8.0}
    table = LatencyTable(times, dict(space=SMALL.to_dict(), stem_kernel=7))
    assert table.of(Arch.parse('4-4x3-8x1-8x4-16x1')) == 1 + 2 + 2 * 0.5 + 3 + 4 + 3 * 0.25 + 8


def test_the_blocks_of_an_arch_in_order():
    assert blocks_of(Arch.parse('4-4x3-8x1-8x2-16x1')) == [
        'stem 4', 'stage1 first 4->4', 'stage1 next 4', 'stage1 next 4', 'stage2 first 16->8', 'stage3 first 32->8',
        'stage3 next 8', 'stage4 first 32->16']


def test_the_blocks_of_a_space_are_those_of_its_archs(tiny_space):
    assert len(blocks_of_space(DATA_SPACE)) == len(set(blocks_of_space(DATA_SPACE))) == 51
    for space in (tiny_space, SMALL):
        assert set(blocks_of_space(space)) == set(itertools.chain.from_iterable(map(blocks_of, space)))


def test_every_sum_of_a_space(tiny_space):
    for space in (tiny_space, SMALL):
        table = random_table(space)
        whole = table.of_space(space)
        assert whole.dtype == np.float64 and whole.shape == (len(space), )
        np.testing.assert_allclose(whole, [by_hand(table, arch) for arch in space], rtol=1e-12)
        np.testing.assert_allclose(whole, [table.of(arch) for arch in space], rtol=1e-12)


def test_the_papers_space_and_a_part_of_it():
    table = random_table(DATA_SPACE)
    whole = table.of_space(DATA_SPACE, stem_kernel=7)
    assert len(whole) == 85_293
    for index in np.random.default_rng(1).integers(len(DATA_SPACE), size=100):
        assert whole[index] == pytest.approx(by_hand(table, DATA_SPACE[index]), rel=1e-12)
    part = ArchSpace(stem=[48], widths=[[64], [96, 160], [256], [384]], depths=[[2], [3], [1, 7, 40], [2]])
    np.testing.assert_allclose(table.of_space(part), [by_hand(table, arch) for arch in part], rtol=1e-12)


def test_what_was_not_measured_is_refused():
    table = random_table(SMALL)
    for call, missing in ((lambda: table.of(Arch.parse('6-4x1-4x1-8x2-16x1')), "2 of the blocks of 6-.*'stem 6', 'stage1 f"),
                          (lambda: table.of(Arch.parse('4-4x1-4x2-8x2-16x1')), "1 of the blocks of 4-.*: 'stage2 next 4';"),
                          (lambda: table.of_space(DATA_SPACE), '51 of the blocks of the space 32-48x2-96x2-192x5-384x2 … ')):
        with pytest.raises(UserError, match=missing) as info:
            call()
        assert '\n' not in str(info.value) and 'tools/measure_latency.py' in str(info.value)
    with pytest.raises(UserError, match='measured with stem_kernel=7, the supernet has stem_kernel=3'):
        table.of_space(SMALL, stem_kernel=3)


def test_a_file_round_trip(tmp_path):
    table = random_table(SMALL, device='a device', check=dict(spearman=None, max_abs_error=0.1))
    table.save(tmp_path / 'new' / 'table.json')
    loaded = LatencyTable.load(tmp_path / 'new' / 'table.json')
    assert loaded == table and loaded.space == SMALL and loaded.stem_kernel == 7
    assert [path.name for path in (tmp_path / 'new').iterdir()] == ['table.json']


def good() -> dict:
    return dict(format='gaia_ssl latency table 1', milliseconds={'stem 4': 1.0},
                provenance=dict(space=SMALL.to_dict(), stem_kernel=7))


@pytest.mark.parametrize('content, message', [
    ('', 'not a latency table'),
    ('not json', 'not a latency table'),
    (b'\xff\xfe\x00', 'not a latency table'),
    ('[' * 100_000, 'not a latency table'),
    ([1, 2], 'not a latency table, but a list'),
    ({'a': 1}, "format is 'None'"),
    (dict(good(), format='gaia_ssl latency table 9'), "format is 'gaia_ssl latency table 9'"),
    (dict(good(), milliseconds=[1]), 'are missing'),
    (dict(good(), provenance=None), 'are missing'),
    (dict(good(), milliseconds={'stem 4': 'fast'}), "says 'fast' ms for the block 'stem 4'"),
    (dict(good(), milliseconds={'stem 4': -1}), "says '-1' ms"),
    (dict(good(), milliseconds={'stem 4': float('nan')}), "says 'nan' ms"),
    (dict(good(), milliseconds={'stem 4': True}), "says 'True' ms"),
    (dict(good(), provenance=dict(stem_kernel=7)), 'for which space'),
    (dict(good(), provenance=dict(space=SMALL.to_dict())), 'for which space'),
    (dict(good(), provenance=dict(space=5, stem_kernel=7)), 'for which space'),
    (dict(good(), provenance=dict(space=dict(stem=[0], widths=[], depths=[]), stem_kernel=7)), 'for which space'),
])
def test_bad_files_are_user_errors_of_one_line(tmp_path, content, message):
    path = tmp_path / 'table.json'
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        path.write_text(content if isinstance(content, str) else json.dumps(content))
    with pytest.raises(UserError, match=re.escape(message)) as info:
        LatencyTable.load(path)
    assert '\n' not in str(info.value) and str(info.value).startswith(str(path))


def test_a_missing_file(tmp_path):
    for path in (tmp_path / 'nothing.json', tmp_path):
        with pytest.raises(UserError, match='no such latency table'):
            LatencyTable.load(path)
