import itertools
import subprocess
import sys

import numpy as np
import pytest

from gaia_ssl import DATA_SPACE, Arch, ArchSpace
from gaia_ssl.errors import UserError

ONE = [[8]] * 4


def test_the_papers_space():
    assert len(DATA_SPACE) == 85_293 == 243 * 351
    assert str(DATA_SPACE.min) == '32-48x2-96x2-192x5-384x2'
    assert str(DATA_SPACE.max) == '64-80x4-160x6-320x29-640x4'
    table = DATA_SPACE.costs()
    assert len(table) == 85_293
    assert round(table['flops'].min() / 1e9, 3) == 1.665 and table['flops'].argmin() == 0
    assert round(table['flops'].max() / 1e9, 2) == 15.51 and table['flops'].argmax() == 85_292


def test_enumeration_is_the_product_with_the_last_depth_fastest(tiny_space):
    by_hand = [
        Arch(stem, (w1, w2, w3, w4), (d1, d2, d3, d4))
        for stem, w1, d1, w2, d2, w3, d3, w4, d4 in itertools.product(
            (4, 8), (4, 8), (1, 2), (8, 12), (1, 2), (8, 16), (1, 2, 3), (12, 16), (1, 2))
    ]
    assert list(tiny_space) == by_hand
    assert len(tiny_space) == len(by_hand) == len(set(by_hand)) == 768


def test_index_round_trip_both_ways(tiny_space):
    assert [tiny_space.index(arch) for arch in tiny_space] == list(range(len(tiny_space)))
    for index in np.random.default_rng(0).integers(len(DATA_SPACE), size=200):
        assert DATA_SPACE.index(DATA_SPACE[index]) == index
    for arch in DATA_SPACE.sample(200, np.random.default_rng(1)):
        assert arch in DATA_SPACE and DATA_SPACE[DATA_SPACE.index(arch)] == arch


def test_indices_as_of_a_sequence(tiny_space):
    assert tiny_space[0] == tiny_space.min
    assert tiny_space[-1] == tiny_space[len(tiny_space) - 1] == tiny_space.max
    for index in (len(tiny_space), -len(tiny_space) - 1):
        with pytest.raises(IndexError):
            tiny_space[index]


def test_membership():
    assert DATA_SPACE.max in DATA_SPACE
    resnet50 = Arch.parse('64-64x3-128x4-256x6-512x3')
    assert resnet50 not in DATA_SPACE  # a depth of 6 is between the choices
    DATA_SPACE.check_fits(resnet50)
    assert str(DATA_SPACE.max) not in DATA_SPACE and None not in DATA_SPACE
    with pytest.raises(UserError, match='64-64x3-128x4-256x6-512x3 is not one of the 85293 archs'):
        DATA_SPACE.index(resnet50)


def test_check_fits_refuses_the_larger():
    with pytest.raises(UserError, match='larger than the supernet'):
        DATA_SPACE.check_fits(Arch.parse('65-48x2-96x2-192x5-384x2'))


@pytest.mark.parametrize('change, match', [
    (dict(stem=[64, 32]), r'stem of the space is \[64, 32\]; list the choices in ascending order'),
    (dict(stem=[32, 32]), 'ascending'),
    (dict(widths=[[8], [8], [16, 12], [8]]), r'width3 of the space is \[16, 12\]'),
    (dict(depths=[[1], [1], [1], [3, 2]]), 'depth4'),
    (dict(stem=[]), 'no stem'),
    (dict(depths=[[1], [], [1], [1]]), 'no depth2'),
    (dict(widths=ONE[:3]), '4 stages'),
    (dict(depths=[[1]] * 5), '4 stages'),
    (dict(stem=[0, 8]), 'positive integers'),
    (dict(stem=[8, 12.5, 16]), 'positive integers'),
    (dict(widths=[[8], [8], [8], [8, 16.0]]), 'positive integers'),
    (dict(stem=[8, '16']), 'positive integers'),
])
def test_bad_spaces_are_user_errors(change, match):
    with pytest.raises(UserError, match=match):
        ArchSpace(**{**dict(stem=[8], widths=ONE, depths=[[1]] * 4), **change})


def test_samples_are_uniform_and_seeded(tiny_space):
    draws = tiny_space.sample(20_000, np.random.default_rng(0))
    assert draws == tiny_space.sample(20_000, np.random.default_rng(0))
    for position, choices in enumerate(tiny_space.choices):
        numbers = [arch.numbers[position] for arch in draws]
        for choice in choices:
            assert abs(numbers.count(choice) / len(draws) - 1 / len(choices)) < 0.02


def test_dict_round_trip():
    plain = DATA_SPACE.to_dict()
    assert ArchSpace(**plain) == DATA_SPACE
    assert plain['depths'][2] == [5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29]


@pytest.mark.parametrize('text', ['64-64x3-128x4-256x6-512x3', '8-4x1-12x2-30x1-64x23', '1-1x1-1x1-1x1-1x1'])
def test_a_space_inside_an_arch(text):
    arch = Arch.parse(text)
    space = ArchSpace.inside(text)
    assert space.max == arch and space == ArchSpace.inside(arch) == ArchSpace.read(text)
    for number, choices in zip(arch.numbers, space.choices, strict=True):
        assert 1 <= choices[0] <= max(number / 2 + 4, 1) and len(choices) <= 3
    for number, choices in zip((arch.stem, *arch.widths), (space.stem, *space.widths), strict=True):
        step = 8 if number >= 32 else 4
        assert all(choice % step == 0 and choice >= number / 2 - step / 2 for choice in choices[:-1])


def test_the_space_inside_resnet50_and_101():
    resnet50 = ArchSpace.inside('64-64x3-128x4-256x6-512x3')
    assert resnet50.to_dict() == dict(
        stem=[32, 48, 64], widths=[[32, 48, 64], [64, 96, 128], [128, 192, 256], [256, 384, 512]],
        depths=[[1, 2, 3], [2, 3, 4], [3, 4, 6], [1, 2, 3]])
    assert ArchSpace.inside('64-64x3-128x4-256x23-512x3').depths[2] == (11, 17, 23)
    assert ArchSpace.inside('64-64x3-128x4-256x6-512x3', shares=(0.25, 0.5)).stem == (16, 32, 64)
    with pytest.raises(UserError, match=r'shares are \[0, 1\]'):
        ArchSpace.inside('64-64x3-128x4-256x6-512x3', shares=(0, 1))


def test_spaces_as_configs_write_them(tiny_space):
    assert ArchSpace.read(tiny_space) is tiny_space and ArchSpace.read(tiny_space.to_dict()) == tiny_space
    for value, match in ((dict(stem=[8]), 'give stem, widths and depths'), (None, 'give stem, widths and depths'),
                         ('auto', 'say --start FILE'), ('64', 'is not an arch')):
        with pytest.raises(UserError, match=match):
            ArchSpace.read(value)


def test_the_space_does_not_need_torch():
    code = 'import sys, gaia_ssl, gaia_ssl.space; sys.exit("torch" in sys.modules or "mmengine" in sys.modules)'
    assert subprocess.run([sys.executable, '-c', code]).returncode == 0


def test_the_largest_choices(tiny_space):
    assert tiny_space.upper(1) == tiny_space
    half = tiny_space.upper(0.5)
    assert (half.stem, half.widths[0], half.depths[2]) == ((8, ), (8, ), (2, 3))  # rounded up
    assert half.max == tiny_space.max and all(arch in tiny_space for arch in half)
    assert tiny_space.upper(1e-6).choices == tuple(choices[-1:] for choices in tiny_space.choices)
    thirds = [len(DATA_SPACE.upper(share / 3).depths[2]) for share in (1, 2, 3)]
    assert thirds == [5, 9, 13]
    with pytest.raises(UserError, match='share of the choices is 0'):
        tiny_space.upper(0)
