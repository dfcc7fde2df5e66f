import subprocess
import sys

import pytest

from gaia_ssl import DATA_SPACE, ArchSpace
from gaia_ssl.errors import UserError
from gaia_ssl.space import SandwichSampler

PINNED = ['32-48x2-160x6-256x13-384x4', '32-48x2-96x6-320x15-512x2', '64-80x4-160x6-320x29-640x4']


def texts(sampler: SandwichSampler, iteration: int) -> dict[str, str]:
    return {name: str(arch) for name, arch in sampler.sample(iteration).items()}


def test_two_objects_draw_the_same_in_any_order():
    one, other = SandwichSampler(DATA_SPACE, seed=3), SandwichSampler(DATA_SPACE, seed=3)
    forward = [one.sample(iteration) for iteration in range(50)]
    backward = [other.sample(iteration) for iteration in reversed(range(50))]
    assert forward == backward[::-1]
    assert other.sample(7) == other.sample(7) == forward[7]


def test_another_process_draws_the_same():
    code = ('from gaia_ssl.space import DATA_SPACE, SandwichSampler\n'
            'for i in (0, 1, 10**6): print(*SandwichSampler(DATA_SPACE, seed=5).sample(i).values())')
    lines = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True).stdout.splitlines()
    sampler = SandwichSampler(DATA_SPACE, seed=5)
    assert lines == [' '.join(texts(sampler, iteration).values()) for iteration in (0, 1, 10**6)]


def test_draws_differ_by_seed_and_by_iteration():
    draws = {
        tuple(texts(SandwichSampler(DATA_SPACE, seed=seed), iteration).values())
        for seed in range(10)
        for iteration in range(10)
    }
    assert len(draws) == 100


def test_draws_never_change():
    """A run that is resumed with a later version must go on as it began."""
    assert list(texts(SandwichSampler(DATA_SPACE, seed=0), 0).values()) == PINNED


@pytest.mark.parametrize('sandwich, names', [
    ('random+random+max', ['random_1', 'random_2', 'max']),
    ('min+random+max', ['min', 'random_1', 'max']),
    ('max', ['max']),
    ('max+min', ['min', 'max']),
    ('random+max+random+random', ['random_1', 'random_2', 'random_3', 'max']),
])
def test_names_and_the_max_arch_last(sandwich, names):
    archs = SandwichSampler(DATA_SPACE, sandwich, seed=1).sample(4)
    assert list(archs) == names
    assert list(archs.values())[-1] == DATA_SPACE.max
    assert archs.get('min', DATA_SPACE.min) == DATA_SPACE.min
    assert all(arch in DATA_SPACE for arch in archs.values())


@pytest.mark.parametrize('sandwich', ['random+random+max', 'min+max', 'max'])
def test_a_space_of_one_arch_is_the_plain_method(sandwich):
    space = ArchSpace(stem=[8], widths=[[8]] * 4, depths=[[1]] * 4)
    assert SandwichSampler(space, sandwich).sample(3) == dict(max=space.max)


def test_archs_of_a_step_are_drawn_independently():
    sampler = SandwichSampler(DATA_SPACE, seed=0)
    steps = [sampler.sample(iteration) for iteration in range(100)]
    assert sum(step['random_1'] == step['random_2'] for step in steps) < 3


def test_a_slow_start_is_plain_and_then_draws_what_it_would_have():
    slow, plain = (SandwichSampler(DATA_SPACE, seed=3, slow_start=share) for share in (0.5, 0.))
    for iteration in range(10):
        expected = plain.sample(iteration) if iteration >= 5 else dict(max=DATA_SPACE.max)
        assert slow.sample(iteration, iteration / 10) == expected


def test_the_smallest_arch_falls_by_phases():
    """A slow start of a quarter, then a third each of the largest choice, the two largest, and all three."""
    sampler = SandwichSampler(DATA_SPACE, 'min+random+max', seed=1, slow_start=0.25, phases=3)
    drawn = {quarter: [sampler.sample(iteration, (quarter + iteration / 200) / 4) for iteration in range(200)]
             for quarter in range(4)}
    assert all(list(archs) == ['max'] for archs in drawn[0])
    for quarter, stems, depths in ((1, {64}, {21, 23, 25, 27, 29}), (2, {48, 64}, set(range(13, 30, 2))),
                                   (3, {32, 48, 64}, set(range(5, 30, 2)))):
        assert {archs['random_1'].stem for archs in drawn[quarter]} == stems
        assert {archs['random_1'].depths[2] for archs in drawn[quarter]} == depths
        assert {archs['min'] for archs in drawn[quarter]} == {DATA_SPACE.upper(quarter / 3).min}
    assert drawn[3][0]['min'] == sampler.sample(0)['min'] == DATA_SPACE.min


@pytest.mark.parametrize('settings, match', [
    (dict(slow_start=1.), 'slow_start is 1.0'),
    (dict(slow_start=-0.1), 'slow_start is -0.1'),
    (dict(phases=0), 'phases is 0'),
])
def test_settings_out_of_range(settings, match):
    with pytest.raises(UserError, match=match):
        SandwichSampler(DATA_SPACE, **settings)


@pytest.mark.parametrize('sandwich', ['', 'random', 'max+max', 'min+min+max', 'random + max', 'mid+max'])
def test_no_sandwich(sandwich):
    with pytest.raises(UserError, match='join max, any number of random'):
        SandwichSampler(DATA_SPACE, sandwich)
