import dataclasses

import numpy as np
import pytest

from gaia_ssl import DATA_SPACE, Arch
from gaia_ssl.errors import UserError

TEXT = '32-48x3-96x2-192x17-512x3'


def test_parse_reads_stem_then_width_x_depth():
    assert Arch.parse(TEXT) == Arch(32, (48, 96, 192, 512), (3, 2, 17, 3))


def test_text_round_trip():
    assert str(Arch.parse(TEXT)) == TEXT
    for index in np.random.default_rng(0).integers(len(DATA_SPACE), size=200):
        assert Arch.parse(str(DATA_SPACE[index])) == DATA_SPACE[index]


def test_parse_forgives_spaces_and_takes_an_arch():
    arch = Arch.parse(TEXT)
    assert Arch.parse(f' {TEXT}\n') == arch
    assert Arch.parse(arch) is arch


@pytest.mark.parametrize('text', [
    '', 'resnet50', '32-48x3-96x2-192x17', f'{TEXT}-512x3', f'{TEXT}x',
    '32-48x3-96x2-192x17-512x-3', '32-48-96-192-512',
    '32,48x3,96x2,192x17,512x3', '3.2-48x3-96x2-192x17-512x3', '0-48x3-96x2-192x17-512x3', '32-48x0-96x2-192x17-512x3',
    '32-48x3-96x2-0x17-512x3', None, 5, ['32-48x3-96x2-192x17-512x3']
])
def test_bad_text_is_a_user_error_of_one_line(text):
    with pytest.raises(UserError) as info:
        Arch.parse(text)
    assert '\n' not in str(info.value)


@pytest.mark.parametrize('stem, widths, depths', [
    (0, (1, 1, 1, 1), (1, 1, 1, 1)),
    (8, (1, 1, -1, 1), (1, 1, 1, 1)),
    (8, (1, 1, 1, 1), (1, 1, 1, 0)),
    (8.0, (1, 1, 1, 1), (1, 1, 1, 1)),
    (8, (1, 1, 1, True), (1, 1, 1, 1)),
    (8, (1, 1, 1), (1, 1, 1, 1)),
    (8, (1, 1, 1, 1), (1, 1, 1, 1, 1)),
])
def test_numbers_are_positive_integers_of_four_stages(stem, widths, depths):
    with pytest.raises(UserError):
        Arch(stem, widths, depths)


def test_is_a_value():
    arch = Arch.parse(TEXT)
    assert len({arch, Arch(32, [48, 96, 192, 512], [3, 2, 17, 3])}) == 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        arch.stem = 48


def test_out_channels_are_four_times_the_widths():
    assert Arch.parse(TEXT).out_channels == (192, 384, 768, 2048)


def test_fits_in_compares_every_dimension():
    arch = Arch.parse(TEXT)
    assert arch.fits_in(arch)
    for field in ('stem', 'widths', 'depths'):
        value = getattr(arch, field)
        places = range(4) if isinstance(value, tuple) else [None]
        for place in places:
            more = value + 1 if place is None else tuple(n + (i == place) for i, n in enumerate(value))
            larger = dataclasses.replace(arch, **{field: more})
            assert arch.fits_in(larger) and not larger.fits_in(arch)
