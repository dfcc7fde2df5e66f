import math

import numpy as np
import pytest

from gaia_ssl import DATA_SPACE, Arch
from gaia_ssl.errors import UserError
from gaia_ssl.space import Budget, check_feasible, within


@pytest.mark.parametrize('quantity, text, low, high', [
    ('flops', '3e9:4e9', 3e9, 4e9),
    ('flops', '3G:4.5g', 3e9, 4.5e9),
    ('flops', ' 500M : 1G ', 5e8, 1e9),
    ('flops', '3000000000:', 3e9, math.inf),
    ('params', '20e6:', 20e6, math.inf),
    ('params', '20M:26M', 20e6, 26e6),
    ('params', ':800k', -math.inf, 8e5),
    ('latency_ms', ':12', -math.inf, 12),
    ('latency_ms', '.5:12.25', 0.5, 12.25),
    ('latency_ms', '7:7', 7, 7),
])
def test_parse(quantity, text, low, high):
    budget = Budget.parse(quantity, text)
    assert (budget.quantity, budget.low, budget.high) == (quantity, low, high)
    name, _, again = str(budget).partition(' in ')
    assert name == quantity and Budget.parse(quantity, again) == budget


@pytest.mark.parametrize('quantity', ['flops', 'params', 'latency_ms'])
@pytest.mark.parametrize('text', ['', ':', ' : ', '3e9', '1:2:3', 'a:b', '3e9:x', 'nan:', ':nan', 'inf:', '1e999:',
                                  '4e9:3e9', '3T:4T', '3 4:5', '1e:2', '1_0:20', 'G:', '--1:2', '1:\n2:', '٣:٤x', None, 5])
def test_garbage_is_a_user_error_of_one_line_with_an_example(quantity, text):
    with pytest.raises(UserError, match='e.g. ') as info:
        Budget.parse(quantity, text)
    assert Budget.parse(quantity, str(info.value).split('e.g. ')[1]).quantity == quantity
    assert '\n' not in str(info.value)


def test_a_time_takes_no_suffix():
    with pytest.raises(UserError, match='not a budget of latency_ms'):
        Budget.parse('latency_ms', ':12M')


def test_bad_values():
    for low, high in ((math.nan, 1), (1, math.nan), (2, 1), (math.inf, math.inf), (-math.inf, -math.inf)):
        with pytest.raises(UserError, match='holds nothing'):
            Budget('flops', low, high)
    for call in (lambda: Budget('speed', 1, 2), lambda: Budget.parse('speed', '1:2')):
        with pytest.raises(UserError, match="'speed' is not a quantity of a budget; use one of flops, params, latency_ms"):
            call()


def test_bounds_are_inclusive():
    costs = dict(flops=np.array([1, 2, 3, 4]), params=np.array([9, 9, 5, 5]))
    assert within([Budget('flops', 2, 3)], costs).tolist() == [False, True, True, False]
    assert within([Budget('flops', 2), Budget('params', high=5), Budget('flops', high=3)],
                  costs).tolist() == [False, False, True, False]
    assert within([], costs).tolist() == [True] * 4


def space_costs(space, latency=None) -> dict:
    table = space.costs()
    return dict(flops=table['flops'], params=table['params'], **({} if latency is None else dict(latency_ms=latency)))


def test_the_mask_is_that_of_brute_force(tiny_space):
    latency = np.random.default_rng(0).uniform(1, 9, len(tiny_space))
    budgets = [Budget('flops', 12e6, 24e6), Budget('params', -math.inf, 30_000), Budget('latency_ms', 2, 8)]
    expected = [12e6 <= arch.flops() <= 24e6 and arch.params() <= 30_000 and 2 <= ms <= 8
                for arch, ms in zip(tiny_space, latency, strict=True)]
    mask = check_feasible(budgets, space_costs(tiny_space, latency), tiny_space)
    assert mask.dtype == bool and mask.tolist() == expected and 0 < sum(expected) < len(expected)


def test_latency_needs_a_table():
    with pytest.raises(UserError, match='tools/measure_latency.py and pass --latency-table'):
        within([Budget.parse('latency_ms', ':12')], space_costs(DATA_SPACE))


def test_the_message_of_an_infeasible_budget():
    with pytest.raises(UserError) as info:
        check_feasible([Budget.parse('flops', '1e9:1.2e9')], space_costs(DATA_SPACE), DATA_SPACE)
    params = DATA_SPACE.min.params() / 1e6
    assert str(info.value) == ('no subnet has flops in 1G:1.2G (the space has 1.665 to 15.51 G); the nearest is '
                               f'32-48x2-96x2-192x5-384x2: flops 1.665 G, params {params:.4g} M')


@pytest.mark.parametrize('asked', [
    dict(flops=(3e9, 3.2e9), params=(70e6, math.inf)),
    dict(flops=(-math.inf, 2e9), latency_ms=(-math.inf, 0.5), params=(20e6, 30e6)),
    dict(latency_ms=(400.0, 500.0)),
    dict(params=(20_000_001, 20_000_001)),
])
def test_the_nearest_is_that_of_brute_force(asked):
    rng = np.random.default_rng(0)
    costs = space_costs(DATA_SPACE, rng.uniform(10, 90, len(DATA_SPACE)))
    budgets = [Budget(quantity, *bounds) for quantity, bounds in asked.items()]
    worst = np.zeros(len(DATA_SPACE))
    for quantity, (low, high) in asked.items():
        for index, cost in enumerate(costs[quantity].tolist()):
            broken = (low - cost) / low if cost < low else (cost - high) / high if cost > high else 0.0
            worst[index] = max(worst[index], broken)
    with pytest.raises(UserError) as info:
        check_feasible(budgets, costs, DATA_SPACE)
    text, _, has = str(info.value).split('the nearest is ')[1].partition(': ')
    index = DATA_SPACE.index(Arch.parse(text))
    assert worst[index] == pytest.approx(worst.min(), rel=1e-12)
    assert has == (f"flops {costs['flops'][index] / 1e9:.4g} G, params {costs['params'][index] / 1e6:.4g} M, "
                   f"latency {costs['latency_ms'][index]:.4g} ms")
    assert '\n' not in str(info.value) and all(f'{budget} (the space has ' in str(info.value) for budget in budgets)


def test_a_bound_of_nothing(tiny_space):
    for budget in (Budget('flops', high=0), Budget('flops', high=-5)):
        with pytest.raises(UserError, match='no subnet has flops in :'):
            check_feasible([budget], space_costs(tiny_space), tiny_space)
