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
