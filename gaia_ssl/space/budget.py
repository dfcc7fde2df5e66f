"""Budgets: bounds on what a subnet may cost, and what to tell when no subnet keeps them."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np

from gaia_ssl.errors import UserError

_EXAMPLES = {'flops': '3G:4G', 'params': '20M:26M', 'latency_ms': ':12'}
_NUMBER = re.compile(r'([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*([KMG]?)', re.IGNORECASE)
_UNITS = {'G': 1e9, 'M': 1e6, 'K': 1e3, '': 1.0}


@dataclasses.dataclass(frozen=True)
class Budget:
    """Bounds on one quantity, both inclusive.

    Args:
        quantity: ``'flops'`` (multiply-adds), ``'params'`` (with batch norm) or ``'latency_ms'``.
        low: The least; ``-inf`` is no bound.
        high: The most; ``inf`` is no bound.

    Raises:
        UserError: If the quantity is unknown, a bound is NaN, or no number lies between the bounds.

    Example:
        >>> print(Budget.parse('flops', '3e9:4.5G'))
        flops in 3G:4.5G
        >>> Budget.parse('latency_ms', ':12')
        Budget(quantity='latency_ms', low=-inf, high=12.0)
    """

    quantity: str
    low: float = -math.inf
    high: float = math.inf

    def __post_init__(self) -> None:
        if self.quantity not in _EXAMPLES:
            raise UserError(f"'{self.quantity}' is not a quantity of a budget; use one of {', '.join(_EXAMPLES)}")
        if not self.low <= self.high or self.low == math.inf or self.high == -math.inf:  # NaN compares as False
            raise UserError(f'the budget of {self.quantity} from {self.low:g} to {self.high:g} holds nothing; write LOW:HIGH, '
                            f'e.g. {_EXAMPLES[self.quantity]}')

    @classmethod
    def parse(cls, quantity: str, text: str) -> Budget:
        """Read ``LOW:HIGH``, either side of which may be left out; of counts also with K, M or G.

        Raises:
            UserError: If ``text`` does not have that form, or as the constructor raises.
        """
        if quantity not in _EXAMPLES:
            return cls(quantity)  # which raises
        sides = [side.strip() for side in text.split(':')] if isinstance(text, str) else []
        numbers = [_number(side, suffix=quantity != 'latency_ms') for side in sides]
        if len(sides) != 2 or not any(sides) or any(n is None for n, side in zip(numbers, sides, strict=True) if side):
            raise UserError(f"'{' '.join(str(text).split())}' is not a budget of {quantity}; write LOW:HIGH, LOW: or :HIGH, "
                            f'e.g. {_EXAMPLES[quantity]}')
        low, high = numbers
        return cls(quantity, -math.inf if low is None else low, math.inf if high is None else high)

    def __str__(self) -> str:
        low, high = ('' if math.isinf(bound) else _bound(bound, self.quantity) for bound in (self.low, self.high))
        return f'{self.quantity} in {low}:{high}'

    def violation(self, cost: np.ndarray) -> np.ndarray:
        """How far ``cost`` lies outside, relative to the bound that it breaks; 0 inside. Shape as ``cost``."""
        cost = np.asarray(cost, dtype=np.float64)
        worst = np.zeros(cost.shape)
        with np.errstate(divide='ignore', invalid='ignore'):
            for bound, excess in ((self.low, self.low - cost), (self.high, cost - self.high)):
                if math.isfinite(bound):
                    worst = np.where(excess > 0, excess / abs(bound), worst)
        return worst


def within(budgets: Sequence[Budget], costs: Mapping[str, np.ndarray]) -> np.ndarray:
    """Which subnets keep all ``budgets``: a mask ``(A,)``.

    Args:
        budgets: Any number, of one quantity too.
        costs: Quantity -> the cost of each of the A subnets; ``latency_ms`` may be missing.

    Raises:
        UserError: If latency is bounded and there is no column of it.
    """
    mask = np.ones(len(next(iter(costs.values()))), dtype=bool)
    for budget in budgets:
        if budget.quantity == 'latency_ms' and budget.quantity not in costs:
            raise UserError(f'a budget of latency ({budget}) needs measured latencies; measure one with '
                            'tools/measure_latency.py and pass --latency-table')
        mask &= (costs[budget.quantity] >= budget.low) & (costs[budget.quantity] <= budget.high)
    return mask


class _Subnets(Protocol):
    """A space, or a list of archs."""

    def __getitem__(self, index: int, /) -> object:
        ...


def check_feasible(budgets: Sequence[Budget], costs: Mapping[str, np.ndarray], candidates: _Subnets) -> np.ndarray:
    """The mask of :func:`within` over all ``candidates``, in which at least one subnet is left.

    Args:
        budgets: As in :func:`within`.
        costs: As in :func:`within`, in the order of ``candidates``.
        candidates: The subnets, e.g. a space.

    Raises:
        UserError: If no subnet keeps all budgets. It names what they offer, and the subnet that comes closest:
            whose largest relative violation is the smallest.
    """
    mask = within(budgets, costs)
    if mask.any():
        return mask
    violations = np.stack([budget.violation(costs[budget.quantity]) for budget in budgets])
    nearest = int(np.lexsort((violations.sum(axis=0), violations.max(axis=0)))[0])
    asked = ' and '.join(f'{budget} (the space has {_range(costs[budget.quantity], budget.quantity)})' for budget in budgets)
    has = ', '.join(f'{_name(quantity)} {_amount(cost[nearest], quantity)}' for quantity, cost in costs.items()
                    if quantity in _EXAMPLES)
    raise UserError(f'no subnet has {asked}; the nearest is {candidates[nearest]}: {has}')


def _number(text: str, suffix: bool) -> float | None:
    match = _NUMBER.fullmatch(text)
    if match is None or (match[2] and not suffix):
        return None
    return float(match[1]) * _UNITS[match[2].upper()]


def _bound(number: float, quantity: str) -> str:
    size, letter = (1.0, '') if quantity == 'latency_ms' else _unit(abs(number), quantity)
    return f'{number / size:.10g}{letter}'


def _name(quantity: str) -> str:
    return quantity.removesuffix('_ms')


def _unit(number: float, quantity: str) -> tuple[float, str]:
    if quantity == 'latency_ms':
        return 1.0, 'ms'
    letter = next((letter for letter, size in _UNITS.items() if number >= size), '')
    return _UNITS[letter], letter


def _amount(number: float, quantity: str) -> str:
    size, letter = _unit(number, quantity)
    return f'{number / size:.4g} {letter}'.rstrip()


def _range(cost: np.ndarray, quantity: str) -> str:
    low, high = float(np.min(cost)), float(np.max(cost))
    size, letter = _unit(high, quantity)
    return f'{low / size:.4g} to {high / size:.4g} {letter}'.rstrip()
