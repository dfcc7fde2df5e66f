import sys

import pytest

from gaia_ssl.errors import UserError
from gaia_ssl.logged_process import run_logged


def test_output_is_kept_and_reported(tmp_path):
    log, lines = tmp_path / 'new' / 'output.log', []
    for _ in range(2):
        run_logged([sys.executable, '-c', 'import sys; print(" one"); sys.stdout.flush(); print("two", file=sys.stderr)'], log,
                   lines.append)
    assert log.read_text() == ' one\ntwo\n' * 2 and lines == ['one', 'two'] * 2


def test_a_failure_is_its_last_line(tmp_path):
    code = 'import sys; print("a"); sys.exit("error: no room\\n")'
    with pytest.raises(UserError, match=r'^no room \(all output: .*output.log\)$'):
        run_logged([sys.executable, '-c', code], tmp_path / 'output.log', print)


def test_a_failure_below_which_a_launcher_reports(tmp_path):
    """As torchrun does: the error of the process, then a table between rules."""
    said = ['ValueError: no such class', '', 'torch.distributed.elastic.multiprocessing.errors.ChildFailedError:', '=' * 60,
            'Root Cause (first observed failure):', '  exitcode  : 1 (pid: 7)', '=' * 60]
    code = f'import sys; print(*{said!r}, sep="\\n"); sys.exit(1)'
    with pytest.raises(UserError, match=r'^ValueError: no such class \(all output'):
        run_logged([sys.executable, '-c', code], tmp_path / 'output.log', print)


def test_a_silent_failure(tmp_path):
    with pytest.raises(UserError, match='ended without a word'):
        run_logged([sys.executable, '-c', 'print("-----"); raise SystemExit(3)'], tmp_path / 'output.log', print)
