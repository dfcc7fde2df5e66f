"""torchrun, but where processes fail, the first one's line is the last one, not followed by forty of the launcher's.

    python tools/launch.py --nproc_per_node=8 --standalone tools/train.py CONFIG --launcher pytorch

Options before the script are torchrun's.
"""

import logging
import os
import signal
import sys

import import_guard  # noqa: F401

from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.run import parse_args, run

from gaia_ssl.launched import LAUNCHER, RESUME


def main() -> None:
    os.environ.setdefault('OMP_NUM_THREADS', '1')  # torchrun's choice, which it warns of
    os.environ[LAUNCHER] = '1'
    logging.disable(logging.ERROR)
    try:
        run(parse_args(None))
    except ChildFailedError as error:
        rank, failure = error.get_first_failure()
        if failure.exitcode >= 0:
            if failure.message.startswith('error: '):
                print(failure.message, file=sys.stderr)
            sys.exit(failure.exitcode)
        name = signal.Signals(-failure.exitcode).name
        hint = ', as the system does where memory is short' if name == 'SIGKILL' else ''
        print(f'error: process {rank} was ended by {name}{hint}; {RESUME}', file=sys.stderr)
        sys.exit(128 - failure.exitcode)
    except SignalException as stopped:
        sys.exit(128 + stopped.sigval)


if __name__ == '__main__':
    main()
