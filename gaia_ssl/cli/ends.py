"""How a tool ends: in success, or in one line."""

from __future__ import annotations

import io
import logging
import os
import re
import sys
import traceback
from collections.abc import Callable
from typing import Any

import cv2
from mmengine.logging import MMLogger

from gaia_ssl.allocator import keep_freed_memory
from gaia_ssl.cli.processes import is_first_process
from gaia_ssl.cli.sigterm import Terminated, raise_on_sigterm
from gaia_ssl.config_file import check_text
from gaia_ssl.errors import UserError
from gaia_ssl.files import DISK_FULL
from gaia_ssl.launched import RESUME, tell_launcher
from gaia_ssl.terminal import one_line, worth_showing


def run(main: Callable[[], None], advice: str = 'nothing was written') -> None:
    """Run a tool: an error that the user can mend becomes one line on stderr and exit status 1.

    So does Ctrl-C (status 130) or SIGTERM (143). Whatever mmengine or a toolbox loads meanwhile is loaded with
    ``weights_only``.

    Args:
        main: The tool.
        advice: What to say of its work after it was stopped.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors='backslashreplace')  # where a terminal's encoding lacks a character
    os.environ['TORCH_FORCE_WEIGHTS_ONLY_LOAD'] = '1'
    keep_freed_memory()
    logging.raiseExceptions = False  # a full disk is told of once, by what cannot do without it
    raise_on_sigterm(advice)
    opencv: Any = cv2  # its types differ with its version
    decoders = opencv if hasattr(cv2, 'setLogLevel') else opencv.utils.logging
    decoders.setLogLevel(1)  # not even errors: unreadable images are reported by their paths
    for handler in MMLogger.get_current_instance().handlers:  # for who logs without a Runner
        handler.addFilter(worth_showing)
    try:
        check_text(os.getcwd(), 'the current folder')
        for word in sys.argv[1:]:
            check_text(word, 'an argument')
        main()
    except UserError as error:
        _fail(_message(error))
    except (ValueError, RuntimeError, OSError, KeyError) as error:
        if not (told := _explained(error)):
            raise
        _fail(told)
    except KeyboardInterrupt:
        _end('Ctrl-C', advice, 130)
    except Terminated:
        _end('SIGTERM', advice, 143)


def _fail(message: str) -> None:
    line = f'error: {one_line(message)}'
    if not tell_launcher(line):
        print(line, file=sys.stderr)
    sys.unraisablehook = lambda unraisable: None  # of what is half made and now thrown away
    sys.exit(1)


def _explained(error: Exception) -> str:
    """What to do about an error of torch or the system that a user can mend; empty for others."""
    text = str(error)
    if isinstance(error, KeyError) and (unknown := re.search(r'([\w.:]+) is not in the ([\w. :]+) registry', text)):
        return f"there is no {unknown[2].rpartition('::')[2]} of the type {unknown[1]}; mend it in the config"
    if 'Expected more than 1 value per channel' in text:
        return ('a batch norm got one value a channel, which has no variance: one image, its map of one position. Use '
                "larger batches (on one process, MoCo's teacher splits them in model.bn_splits parts), larger images, "
                'drop_last=True, or for images of 32 px model.backbone.stem_kernel=3')
    if re.search('Connection (reset|closed) by peer', text):  # gloo's words
        return f"another process of this job has ended; its own message says why, or the system's log; {RESUME}"
    if isinstance(error, RuntimeError) and _is_of_shm(text) or (
            isinstance(error, OSError) and error.errno in DISK_FULL and _raised_in(error) == 'multiprocessing'):
        return ('/dev/shm, through which processes that read images hand them over, is full or too small; make it larger '
                '(docker run --shm-size=8g), or read in fewer processes: --workers 0, or train_dataloader.num_workers=0 and '
                'train_dataloader.persistent_workers=False by --cfg-options (for a search those of test_dataloader)')
    if isinstance(error, OSError) and (error.errno in DISK_FULL or error.filename is not None):
        hint = '; make room, all that was finished is kept' if error.errno in DISK_FULL else ''
        return f"{error.filename or 'the output'}: {error.strerror}{hint}"
    return ''


def _is_of_shm(text: str) -> bool:
    """Whether torch says that of /dev/shm; there is a shared memory of the GPU's, too."""
    return 'Bus error' in text or 'shared memory' in text and any(
        sign in text for sign in ('DataLoader', 'dataloader', 'shm', '/torch_'))


def _raised_in(error: Exception) -> str:
    """The package that raised it."""
    frames = [frame.f_globals.get('__name__') or '' for frame, _ in traceback.walk_tb(error.__traceback__)]
    return frames[-1].partition('.')[0]


def _end(by: str, advice: str, status: int) -> None:
    if is_first_process():
        print(f'stopped by {by}; {advice}', file=sys.stderr, flush=True)
    sys.exit(status)


def _message(error: UserError) -> str:
    """What it says. Of one raised in a data loader's worker, torch makes a traceback that ends in that."""
    return str(error).rpartition(f'\n{UserError.__module__}.{UserError.__qualname__}: ')[2].strip()
