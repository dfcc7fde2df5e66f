import numpy as np
import pytest

from gaia_ssl import Arch
from gaia_ssl.errors import UserError
from gaia_ssl.search.selection import select_archs
from gaia_ssl.search.task import TASKS, features_of
from gaia_ssl.space import FlopsGroups
from tests import tiny

GROUPS = FlopsGroups(tiny.EDGES)
FLOPS = np.array([arch.flops(32, 3) for arch in tiny.SPACE])


def select(archs, groups=GROUPS, seed=0):
    return select_archs(tiny.SPACE, groups, archs, FLOPS, seed)


def members(low: float, high: float) -> list[Arch]:
    return [arch for arch in tiny.SPACE if low <= arch.flops(32, 3) < high]


def test_the_tasks_are_the_papers():
    assert TASKS == {'z': ('z', ), 'c5': ('c5', ), 'c4-c5': ('c4', 'c5'), 'c2-c5': ('c2', 'c3', 'c4', 'c5')}


def test_features_of_several_tasks_come_once_and_in_order():
    assert features_of(['z', 'c5', 'c4-c5']) == ('c4', 'c5', 'z')
    assert features_of(['c2-c5', 'c5']) == ('c2', 'c3', 'c4', 'c5')
    assert features_of(iter(['z'])) == ('z', )


def test_unknown_or_no_task():
    with pytest.raises(UserError, match="'c3' is not a task; choose from z, c5, c4-c5, c2-c5"):
        features_of(['z', 'c3'])
    with pytest.raises(UserError, match='no task'):
        features_of([])


def test_a_number_draws_that_many_from_each_group():
    chosen = select(10)
    assert len(chosen) == len(set(chosen)) == 10 + 10 + 8  # the last group holds 8
    for low, high, count in zip(tiny.EDGES, tiny.EDGES[1:], (10, 10, 8), strict=False):
        assert sum(low <= arch.flops(32, 3) < high for arch in chosen) == count
    assert set(members(*tiny.EDGES[2:])) <= set(chosen)
    assert tiny.SPACE.max not in chosen


def test_the_draw_follows_the_seed_alone():
    assert select(4, seed=1) == select(4, seed=1)
    assert len({tuple(select(4, seed=seed)) for seed in range(10)}) > 5
    first_group = FlopsGroups(tiny.EDGES[:2])
    assert select(4)[:4] == select(4, groups=first_group)  # other groups have no say


def test_every_arch_is_drawn_sooner_or_later():
    drawn = {arch for seed in range(40) for arch in select(2, seed=seed)}
    assert drawn == set(members(tiny.EDGES[0], tiny.EDGES[-1]))


def test_all_are_those_in_a_group():
    chosen = select('all')
    assert sorted(chosen) == sorted(members(tiny.EDGES[0], tiny.EDGES[-1]))
    assert len(chosen) == 31


def test_a_list_is_taken_as_it_is():
    texts = ['8-8x2-8x1-16x2-16x1', '5-6x2-7x1-9x1-13x1']  # outside all groups; off the grid
    assert [str(arch) for arch in select(texts)] == texts


@pytest.mark.parametrize('archs, message', [
    (['nonsense'], 'is not an arch'),
    (['9-8x2-8x1-16x2-16x1'], 'larger than the supernet'),
    ([], 'empty list'),
    (0, "archs is '0'"),
    (-3, "archs is '-3'"),
    ('some', "archs is 'some'"),
])
def test_bad_choices(archs, message):
    with pytest.raises(UserError, match=message):
        select(archs)


@pytest.mark.parametrize('archs', [1, 'all'])
def test_a_group_without_archs(archs):
    with pytest.raises(UserError, match=r'group 5-6M: the space has 0\.001 to 0\.004 G') as info:
        select(archs, FlopsGroups((1.1e6, 5e6, 6e6)))
    assert '\n' not in str(info.value)
