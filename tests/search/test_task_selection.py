import numpy as np
import pytest

from gaia_ssl import Arch
from gaia_ssl.errors import UserError
from gaia_ssl.search.selection import Selection, select_archs
from gaia_ssl.search.task import TASKS, doubt_of, quantities_of
from gaia_ssl.space import Budget, FlopsGroups, LatencyTable
from gaia_ssl.space.latency import blocks_of, blocks_of_space
from tests import tiny

GROUPS = FlopsGroups(tiny.EDGES)


def choose(archs, groups=GROUPS, seed=0, budgets=(), latency=None) -> Selection:
    budgets = [Budget.parse(*each) for each in budgets]
    return select_archs(tiny.SPACE, archs, groups, budgets, latency, resolution=32, stem_kernel=3, seed=seed)


def select(archs, groups=GROUPS, seed=0) -> list[Arch]:
    return choose(archs, groups, seed).archs()


def members(low: float, high: float) -> list[Arch]:
    return [arch for arch in tiny.SPACE if low <= arch.flops(32, 3) < high]


def test_what_is_not_known_of_a_choice():
    """The measures of docs/reproduction.md that beat FLOPs for z; nothing does for dense tasks."""
    assert doubt_of('z', None) == doubt_of('z', 'combined') == ''
    assert "z: it is not known whether the measure 'paper' chooses" in doubt_of('z', 'paper')
    assert all(doubt_of(task, measure) for task in ('c5', 'c4-c5', 'c2-c5') for measure in (None, 'relations'))


def test_the_tasks_are_the_papers():
    assert TASKS == {'z': ('z', ), 'c5': ('c5', ), 'c4-c5': ('c4', 'c5'), 'c2-c5': ('c2', 'c3', 'c4', 'c5')}


def test_quantities_of_several_tasks_come_once_and_in_order():
    assert quantities_of(['z', 'c5', 'c4-c5'], 'paper') == ('c4', 'c5', 'z')
    assert quantities_of(['c2-c5', 'c5']) == ('c2', 'c3', 'c4', 'c5')
    assert quantities_of(iter(['z']), 'paper') == ('z', )


def test_unknown_or_no_task():
    with pytest.raises(UserError, match="'c3' is not a task; choose from z, c5, c4-c5, c2-c5"):
        quantities_of(['z', 'c3'])
    with pytest.raises(UserError, match='no task'):
        quantities_of([])


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
    assert set(select(4, groups=first_group)) < set(select(4))  # other groups have no say


def test_every_arch_is_drawn_sooner_or_later():
    drawn = {arch for seed in range(40) for arch in select(2, seed=seed)}
    assert drawn == set(members(tiny.EDGES[0], tiny.EDGES[-1]))


def test_all_is_the_whole_space():
    selection = choose('all')
    assert selection.archs() == sorted(tiny.SPACE, key=lambda arch: tuple(selection.tree.numbers[tiny.SPACE.index(arch)]))
    assert set(selection.archs()) == set(tiny.SPACE)
    for arch, flops, params, group in zip(selection.archs(), selection.costs['flops'], selection.costs['params'],
                                          selection.groups, strict=True):
        assert flops == arch.flops(32, 3) and params == arch.params(3)
        within = [name for name, low, high in zip(GROUPS.names, tiny.EDGES, tiny.EDGES[1:], strict=False)
                  if low <= flops < high]
        assert group == ''.join(within)


def test_a_list_may_lie_outside_all_groups_and_off_the_grid():
    texts = ['8-8x2-8x1-16x2-16x1', '5-6x2-7x1-9x1-13x1', '5-6x2-7x1-9x1-13x1']
    assert {str(arch) for arch in select(texts)} == set(texts) and len(select(texts)) == 2
    assert choose(texts).groups.tolist() == ['2-3M', '']


def test_groups_are_made_where_none_are_given():
    selection = choose('all', groups=None)
    assert 2 <= len(set(selection.groups)) <= 5 and '' not in selection.groups


def test_budgets_equal_brute_force():
    selection = choose('all', groups=None, budgets=[('flops', '2e6:3.5e6'), ('params', ':20e3')])
    expected = {arch for arch in tiny.SPACE if 2e6 <= arch.flops(32, 3) <= 3.5e6 and arch.params(3) <= 20e3}
    assert set(selection.archs()) == expected and 0 < len(expected) < 32
    assert set(selection.groups) == {'flops in 2M:3.5M, params in :20K'}


def test_a_latency_budget_equals_brute_force():
    rng = np.random.default_rng(0)
    table = LatencyTable({block: float(rng.uniform(0.1, 1)) for block in blocks_of_space(tiny.SPACE)},
                         dict(space=tiny.SPACE.to_dict(), stem_kernel=3))
    latency = {arch: sum(table.milliseconds[block] for block in blocks_of(arch)) for arch in tiny.SPACE}
    bound = float(np.median(list(latency.values())))
    selection = choose('all', groups=None, budgets=[('latency_ms', f':{bound!r}')], latency=table)
    assert set(selection.archs()) == {arch for arch, value in latency.items() if value <= bound}
    np.testing.assert_allclose(selection.costs['latency_ms'], [latency[arch] for arch in selection.archs()])


def test_latencies_of_another_stem_are_refused():
    table = LatencyTable(dict.fromkeys(blocks_of_space(tiny.SPACE), 1.0), dict(space=tiny.SPACE.to_dict(), stem_kernel=7))
    for archs in ('all', [str(tiny.SPACE.max)]):
        with pytest.raises(UserError, match='stem_kernel=7, the supernet has stem_kernel=3'):
            choose(archs, groups=None, latency=table)


def test_a_number_is_drawn_from_within_the_budgets():
    selection = choose(3, budgets=[('params', ':20e3')], groups=FlopsGroups((1.1e6, 2e6, 3e6)))
    assert len(selection.archs()) == 6 and (selection.costs['params'] <= 20e3).all()
    assert sorted(selection.groups) == ['1.1-2M'] * 3 + ['2-3M'] * 3


def test_a_budget_that_cannot_be_kept_names_the_nearest():
    with pytest.raises(UserError, match=rf'no subnet has flops .*nearest is {tiny.SPACE.min}'):
        choose('all', budgets=[('flops', ':1e6')])
    with pytest.raises(UserError, match='tools/measure_latency.py'):
        choose('all', budgets=[('latency_ms', ':1')])


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
