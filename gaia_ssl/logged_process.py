"""Running a tool in a process of its own, all that it says kept in a file."""

from __future__ import annotations

import collections
import pathlib
import re
import subprocess
from collections.abc import Callable, Iterable, Sequence

from gaia_ssl.errors import UserError

_ERROR = re.compile(r'(error|[\w.]*(Error|Exception)): +(?=\S)')


def run_logged(words: Sequence[str], log: pathlib.Path, report: Callable[[str], None]) -> None:
    """Run a command to its end.

    Args:
        words: The command and its arguments.
        log: File that its output is appended to.
        report: Is given each line of it, stripped.

    Raises:
        UserError: If it fails; the message is the last line that names an error, or the last one of all.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    last: collections.deque[str] = collections.deque(maxlen=200)
    with open(log, 'a', encoding='utf-8') as file:
        process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors='replace')
        try:
            assert process.stdout is not None
            for line in process.stdout:
                file.write(line)
                last.append(line.strip())
                report(line.strip())
        except BaseException:  # Ctrl-C, above all: do not leave it running
            process.terminate()
            raise
        finally:
            process.wait()
    if process.returncode:
        raise UserError(f'{_reason(last).removeprefix("error: ")} (all output: {log})')


def _reason(lines: Iterable[str]) -> str:
    """What went wrong; launchers end with a report of their own, below the error of the process that failed."""
    told = [line for line in lines if re.search(r'\w', line)]
    errors = [line for line in told if _ERROR.match(line)]
    return (errors or told or ['it ended without a word'])[-1]
