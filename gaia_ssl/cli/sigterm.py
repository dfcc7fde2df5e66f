"""SIGTERM as an exception, so that files are left in order."""

from __future__ import annotations

import functools
import os
import signal
import sys
import threading

from gaia_ssl.cli.processes import is_first_process

GRACE = 5.0
"""Seconds until SIGTERM ends a process that waits for others, outside of Python."""
_heard = threading.Event()


class Terminated(BaseException):
    """SIGTERM came, as from a scheduler whose time is up; raised in the main thread, so that files are left in order."""


def raise_on_sigterm(advice: str) -> None:
    """In the first process, which writes the files. The others end at once, even while they wait for one another."""
    if threading.current_thread() is not threading.main_thread() or not is_first_process():
        return
    process = os.getpid()

    def terminate(number: int, frame: object) -> None:
        _heard.set()
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        if os.getpid() != process:  # a worker of a data loader, which has it from here
            os.kill(os.getpid(), signal.SIGTERM)
        raise Terminated

    signal.signal(signal.SIGTERM, terminate)
    _end_unless_heard(advice)


@functools.cache
def _end_unless_heard(advice: str) -> None:
    """End the process if SIGTERM came, and for :data:`GRACE` seconds Python has not heard, as it waits for other processes."""
    received, sent = os.pipe()
    os.set_blocking(sent, False)
    signal.set_wakeup_fd(sent, warn_on_full_buffer=False)
    os.register_at_fork(after_in_child=lambda: signal.set_wakeup_fd(-1))  # a data loader's worker has signals of its own

    def watch() -> None:
        while signal.SIGTERM not in os.read(received, 64):
            pass
        if not _heard.wait(GRACE):
            print(f'stopped by SIGTERM; {advice}', file=sys.stderr, flush=True)
            os._exit(143)

    threading.Thread(target=watch, daemon=True).start()
