import re

import pytest

from gaia_ssl import progress as module
from gaia_ssl.progress import Progress


@pytest.fixture
def lines_of(monkeypatch):
    """Runs a piece of work, its units' seconds given, against a clock of its own; returns the lines that are reported."""
    now = [100.0]
    monkeypatch.setattr(module.time, 'monotonic', lambda: now[0])

    def run(seconds, weights=None) -> list[str]:
        lines = []
        progress = Progress(len(seconds), 'archs', lines.append, every=5, total_weight=weights and sum(weights))
        for each, weight in zip(seconds, weights or [None] * len(seconds), strict=True):
            now[0] += each
            progress.advance(weight=weight)
        assert progress.done == len(seconds)
        return lines

    return run


def etas(lines: list[str], pattern: str) -> list[str]:
    return [re.match(pattern + r', ETA 0:00:(\d+)', line).group(1) for line in lines]


def test_a_line_every_few_seconds_and_one_at_the_end(lines_of):
    assert etas(lines_of([2] * 10), r'\d+/10 archs, 0.5 archs/s') == ['14', '08', '02', '00']


def test_slow_units(lines_of):
    assert etas(lines_of([20.5] * 2), r'\d/2 archs, 20 s each') == ['20', '00']


def test_short_work_says_nothing(lines_of):
    assert lines_of([1, 1]) == []


def test_units_of_unequal_weight(lines_of):
    """The time left follows the weights, the rate the units."""
    assert etas(lines_of([6, 12, 24], weights=[1, 2, 4]), r'\d/3 archs, (?:0.[12] archs/s|14 s each)') == ['36', '24', '00']


def test_a_first_unit_that_warms_up_does_not_set_the_pace(lines_of):
    assert etas(lines_of([8, 2, 2, 2, 2]), r'\d/5 archs, 0.[123] archs/s') == ['32', '02', '00']


def test_nothing_done_says_nothing():
    lines = []
    progress = Progress(2, 'archs', lines.append, every=0)
    progress.advance(0)
    assert lines == []
    progress.advance(2)
    assert len(lines) == 1
