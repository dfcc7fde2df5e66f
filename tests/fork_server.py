"""Processes that need not import anything: forks of one that has, before it started any thread.

Every start of Python costs ten seconds of imports, most of the time of a tool's run on a tiny supernet.
"""

from __future__ import annotations

import atexit
import multiprocessing
import os
import pathlib
import resource
import runpy
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from multiprocessing.connection import Connection

multiprocessing.set_forkserver_preload([
    'torch', 'mmpretrain.apis', 'gaia_ssl.cli', 'gaia_ssl.engine', 'gaia_ssl.engine.judge', 'gaia_ssl.engine.run_search',
    'gaia_ssl.evaluation', 'gaia_ssl.export', 'gaia_ssl.models', 'gaia_ssl.search.report'])


class Forked:
    """A Python program as a process in a group of its own; what tests use of ``subprocess.Popen``.

    Args:
        program: The file to run.
        arguments: Its words.
        cwd: Its folder.
        env: Its environment.
        file_size: Bytes that a file of it may have; to write more fails.
    """

    def __init__(self, program: pathlib.Path, arguments: Sequence[str], cwd: pathlib.Path, env: dict[str, str],
                 file_size: int | None = None) -> None:
        out, out_end = multiprocessing.Pipe(duplex=False)
        err, err_end = multiprocessing.Pipe(duplex=False)
        self.args = [str(program), *arguments]
        self._process = multiprocessing.get_context('forkserver').Process(
            target=_run, args=(self.args, str(cwd), env, file_size, out_end, err_end))
        self._process.start()
        out_end.close()
        err_end.close()
        self.pid = self._process.pid
        self.stdout, self.stderr = (os.fdopen(os.dup(end.fileno()), encoding='utf-8') for end in (out, err))

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        return self.returncode

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        texts = ['', '']

        def read(index: int, stream) -> None:
            texts[index] = stream.read()

        readers = [threading.Thread(target=read, args=item, daemon=True) for item in enumerate((self.stdout, self.stderr))]
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join(timeout)
            if reader.is_alive():
                raise subprocess.TimeoutExpired(self.args, timeout)
        self._process.join()
        return texts[0], texts[1]


def _run(argv: list[str], cwd: str, env: dict[str, str], file_size: int | None, out: Connection, err: Connection) -> None:
    os.setsid()
    os.dup2(out.fileno(), 1)
    os.dup2(err.fileno(), 2)
    out.close()
    err.close()
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if file_size is not None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (file_size, file_size))
    sys.stdout, sys.stderr = (open(fd, 'w', encoding='utf-8', buffering=1, closefd=False) for fd in (1, 2))
    multiprocessing.set_start_method(None, force=True)  # as at the start of Python
    sys.argv = argv
    sys.path[0] = os.path.dirname(argv[0])
    try:
        runpy.run_path(argv[0], run_name='__main__')
    finally:
        atexit._run_exitfuncs()
