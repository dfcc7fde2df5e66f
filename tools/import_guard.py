"""Imported first by every tool: a package that cannot be imported is then one line that points to tools/doctor.py.

``python tools/import_guard.py PACKAGE`` says the same of one package, for the shell tools.
"""

import importlib
import os
import pathlib
import sys
import traceback
from types import TracebackType


def excepthook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """As ``sys.excepthook``, but for what goes wrong while a module is imported."""
    importing = [frame.f_code.co_name for frame, _ in traceback.walk_tb(trace)][1:].count('<module>')
    if not (issubclass(kind, ImportError) or (importing and issubclass(kind, Exception))):
        sys.__excepthook__(kind, error, trace)
        return
    what = getattr(error, 'name', None) or 'a package'
    reason = (str(error).strip().splitlines() or [''])[0]
    doctor = os.path.relpath(pathlib.Path(__file__).with_name('doctor.py'))
    print(f'error: {what} cannot be imported ({kind.__name__}: {reason}); run python {doctor}', file=sys.stderr)


sys.excepthook = excepthook

if __name__ == '__main__':
    importlib.import_module(sys.argv[1])
