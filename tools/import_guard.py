"""Imported first by every tool: a package that cannot be imported is then one line that points to tools/doctor.py."""

import getpass
import os
import pathlib
import sys
import traceback
from types import TracebackType


def excepthook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """As ``sys.excepthook``, but for what goes wrong while a module is imported."""
    if issubclass(kind, KeyboardInterrupt):
        print('stopped by Ctrl-C; nothing was begun', file=sys.stderr)
        return
    importing = any(frame.f_code.co_name == '<module>' and frame.f_globals.get('__name__') != '__main__'
                    for frame, _ in traceback.walk_tb(trace))
    if not (issubclass(kind, ImportError) or (importing and issubclass(kind, Exception))):
        sys.__excepthook__(kind, error, trace)
        return
    what = getattr(error, 'name', None) or 'a package'
    reason = (str(error).strip().splitlines() or [''])[0]
    by_console = sys.argv[0].startswith('gaia-ssl ')
    doctor = 'gaia-ssl doctor' if by_console else f"python {os.path.relpath(pathlib.Path(__file__).with_name('doctor.py'))}"
    print(f'error: {what} cannot be imported ({kind.__name__}: {reason}); run {doctor}', file=sys.stderr)


def name_the_user() -> None:
    """Where the user id has no entry (``docker run --user``): torch names a folder by the user's name as it is imported."""
    try:
        getpass.getuser()
    except (KeyError, OSError):
        os.environ['USER'] = f'user{os.getuid()}'


def wait_briefly() -> None:
    """Let OpenMP's threads wait for each other spinning for microseconds, where by themselves they would for milliseconds.

    On a core that something else wants, too, the others spin away what it needs. Read as torch is imported; of GCC's OpenMP,
    which torch's wheels bring.
    """
    if 'OMP_WAIT_POLICY' not in os.environ:
        os.environ.setdefault('GOMP_SPINCOUNT', '2000')


sys.excepthook = excepthook
name_the_user()
wait_briefly()
