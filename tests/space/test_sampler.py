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


@pytest.mark.parametrize('sandwich', ['', 'random', 'max+max', 'min+min+max', 'random + max', 'mid+max'])
def test_no_sandwich(sandwich):
    with pytest.raises(UserError, match='join max, any number of random'):
        SandwichSampler(DATA_SPACE, sandwich)
