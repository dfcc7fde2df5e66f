"""Running a tool in a process of its own, all that it says kept in a file."""

from __future__ import annotations

import pathlib
import subprocess
from collections.abc import Callable, Sequence

from gaia_ssl.errors import UserError


def run_logged(words: Sequence[str], log: pathlib.Path, report: Callable[[str], None]) -> None:
    """Run a command to its end.

    Args:
        words: The command and its arguments.
        log: File that its output is appended to.
        report: Is given each line of it, stripped.

    Raises:
        UserError: If it fails; the message is its last line.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    last = ''
    with open(log, 'a', encoding='utf-8') as file:
        process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors='replace')
        try:
            for line in process.stdout:
                file.write(line)
                last = line.strip() or last
                report(line.strip())
        except BaseException:  # Ctrl-C, above all: do not leave it running
            process.terminate()
            raise
        finally:
            process.wait()
    if process.returncode:
        raise UserError(f'{last.removeprefix("error: ")} (all output: {log})')
