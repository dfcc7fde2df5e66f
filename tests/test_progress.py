import re

import pytest

from gaia_ssl import progress as module
from gaia_ssl.progress import Progress


@pytest.fixture
def clock(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(module.time, 'monotonic', lambda: now[0])
    return now


def test_a_line_every_few_seconds_and_one_at_the_end(clock):
    lines = []
    progress = Progress(10, 'archs', lines.append, every=5)
    for _ in range(10):
        clock[0] += 2
        progress.advance()
    assert [re.match(r'\d+/10 archs, 0.5 archs/s, ETA 0:00:(\d+)', line).group(1) for line in lines] == ['14', '08', '02', '00']


def test_short_work_says_nothing(clock):
    lines = []
    progress = Progress(2, 'archs', lines.append, every=5)
    for _ in range(2):
        clock[0] += 1
        progress.advance()
    assert lines == [] and progress.done == 2
