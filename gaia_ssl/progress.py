"""Progress with an ETA, as lines that read well in a terminal and in a log file."""

import datetime
import threading
import time
from collections.abc import Callable

from gaia_ssl.terminal import say


class Progress:
    """Reports every few seconds how far a piece of work is; nothing if it takes less.

    Args:
        total: Units of work.
        what: What a unit is, e.g. ``'archs'``.
        report: Where the lines go.
        every: Seconds between two lines.

    Give ``weight`` to :meth:`advance` and their sum as ``total_weight`` where units take unequal time. The first unit, which
    warms up, counts for the ETA only until there is a second.

    Example:
        >>> progress = Progress(2, 'archs', every=0)
        >>> progress.advance()  # doctest: +ELLIPSIS
        1/2 archs, ... archs/s, ETA 0:00:00
    """

    def __init__(self, total: float, what: str, report: Callable[[str], None] = say, every: float = 5.0,
                 total_weight: float | None = None) -> None:
        self.total = total
        self.done = 0.0
        self._total_weight = total if total_weight is None else total_weight
        self._weight = 0.0
        self._what = what
        self._report = report
        self._every = every
        self._lock = threading.Lock()
        self._start = self._last = time.monotonic()
        self._warm: tuple[float, float] | None = None

    def advance(self, units: float = 1, weight: float | None = None) -> None:
        """Count ``units`` more as done; threads may share it."""
        with self._lock:
            self._advance(units, weight)

    def _advance(self, units: float, weight: float | None) -> None:
        if not units:
            return
        self.done += units
        self._weight += units if weight is None else weight
        now = time.monotonic()
        since, before = self._warm or (self._start, 0.0)
        self._warm = self._warm or (now, self._weight)
        long = now - self._start >= self._every
        if now - self._last >= self._every or (long and self.done >= self.total - 1e-6):
            self._last = now
            left = (now - since) * (self._total_weight - self._weight) / (self._weight - before)
            eta = datetime.timedelta(seconds=max(0, round(left)))
            rate = self.done / max(now - self._start, 1e-9)
            speed = f'{rate:.1f} {self._what}/s' if rate >= 0.1 else f'{1 / rate:.0f} s each'
            self._report(f'{self.done:.0f}/{self.total:.0f} {self._what}, {speed}, ETA {eta}')
