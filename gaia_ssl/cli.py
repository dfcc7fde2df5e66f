"""What the command-line tools share."""

from __future__ import annotations

import argparse
import datetime
import difflib
import functools
import inspect
import io
import logging
import os
import re
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

import cv2
import torch
from mmengine.config import Config, DictAction
from mmengine.logging import MMLogger
from mmengine.utils import get_installed_path

from gaia_ssl.allocator import keep_freed_memory
from gaia_ssl.config_file import check_text
from gaia_ssl.errors import UserError
from gaia_ssl.file_choice import FileChoice
from gaia_ssl.files import DISK_FULL
from gaia_ssl.mim_folder import mim_folder
from gaia_ssl.terminal import one_line, worth_showing

RESUME = 'all that was finished is kept; the same command with --resume goes on'
"""What to say of the work of a tool that has the option."""
GRACE = 5.0
"""Seconds until SIGTERM ends a process that waits for others, outside of Python."""
CONFIG_HELP = 'config file; gaia_ssl::FOLDER/NAME.py is one that comes with gaia_ssl, e.g. gaia_ssl::search/c2-c5_coco.py'
INSTALLED_CONFIGS = ('gaia_ssl', 'mmdet', 'mmpretrain')
"""Packages whose configs can be named by ``PACKAGE::``. For ``mmseg::``, mmengine pip-installs another mmsegmentation."""
_heard = threading.Event()


class Terminated(BaseException):
    """SIGTERM came, as from a scheduler whose time is up; raised in the main thread, so that files are left in order."""


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
    _raise_on_sigterm(advice)
    opencv: Any = cv2  # its types differ with its version
    decoders = opencv if hasattr(cv2, 'setLogLevel') else opencv.utils.logging
    decoders.setLogLevel(2)  # errors only: unreadable images are reported by their paths
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
    print(f'error: {one_line(message)}', file=sys.stderr)
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


def _raise_on_sigterm(advice: str) -> None:
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


def _end(by: str, advice: str, status: int) -> None:
    if is_first_process():
        print(f'stopped by {by}; {advice}', file=sys.stderr, flush=True)
    sys.exit(status)


def _message(error: UserError) -> str:
    """What it says. Of one raised in a data loader's worker, torch makes a traceback that ends in that."""
    return str(error).rpartition(f'\n{UserError.__module__}.{UserError.__qualname__}: ')[2].strip()


class CfgOptions(DictAction):
    """mmengine's, with one line for a word that is no ``KEY=VALUE``, or a value that it would read as another."""

    def __call__(self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any,
                 option_string: str | None = None) -> None:
        wrong = next((word for word in values if not word.partition('=')[1] or word.startswith('=')), None)
        if wrong is not None:
            raise UserError(f"{option_string} '{wrong}': not KEY=VALUE, e.g. train_dataloader.batch_size=32")
        for word in values:
            _check_value(option_string, *word.split('=', 1))
        super().__call__(parser, namespace, values, option_string)


_PATHS = ('data_root', 'data_prefix', 'img_path', 'ann_file', 'checkpoint', 'load_from', 'work_dir', 'latency_table')
"""Last parts of keys whose values are paths."""
_SPACE_LOST = re.compile(r"""[^\s,()\[\]'"]\s+[^\s,()\[\]'"]""")


def _check_value(option: str | None, key: str, text: str) -> None:
    """Raise a UserError if mmengine would drop spaces in ``text``, or take a path for a list or a number."""
    where = f'{option} {key}={text}'
    try:
        read = DictAction._parse_iterable(text)
    except (AssertionError, IndexError, SyntaxError, ValueError) as error:
        raise UserError(f'{where}: not a value that mmengine reads; close what it opens, as in [1,2]') from error
    bare = text.strip('\'" ')
    is_list = (bare[:1], bare[-1:]) in (('[', ']'), ('(', ')'))
    is_path = not is_list and (key.rpartition('.')[2] in _PATHS or '/' in bare or ',' in bare and os.path.lexists(bare))
    if _SPACE_LOST.search(bare) or is_path and read not in (bare, None):
        raise UserError(f'{where}: mmengine would read {read!r}; what has an option of its own (--data, --start, --list, '
                        '--work-dir, …) is taken as it is typed, and so is what a config says')


def check_option_names(config: Config, options: Mapping[str, Any]) -> None:
    """Raise a UserError if an option begins with a name that neither ``config`` nor mmengine's Runner knows.

    mmengine would ignore it.
    """
    from mmengine.runner import Runner  # here, for most calls have no options and some tools no Runner

    known = {*config, *inspect.signature(Runner).parameters, 'sync_bn', 'auto_scale_lr'}
    for key in options:
        name = key.partition('.')[0]
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean '{near[0]}'?" if near else f'it has {", ".join(sorted(config))}'
            raise UserError(f"--cfg-options {key}: the config has no '{name}'; {hint}")


def add_config_arguments(parser: argparse.ArgumentParser) -> None:
    """OpenMMLab's usual flags of a tool of one process that takes a config."""
    parser.add_argument('--work-dir', help='folder for logs and results (default: work_dirs/CONFIG_NAME)')
    parser.add_argument('--overwrite', action='store_true', help='replace the run that the work dir already holds')
    parser.add_argument('--cfg-options', nargs='+', action=CfgOptions, metavar='KEY=VALUE',
                        help='override settings of the config, e.g. train_dataloader.batch_size=32')
    parser.set_defaults(launcher='none', local_rank=0)


def add_runner_arguments(parser: argparse.ArgumentParser) -> None:
    """OpenMMLab's usual flags of a tool that starts a Runner."""
    add_config_arguments(parser)
    parser.add_argument('--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none', help='job launcher')
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0, help=argparse.SUPPRESS)


def add_data_argument(parser: argparse.ArgumentParser) -> None:
    """``--data DIR``, taken as it is typed, where ``--cfg-options`` drops spaces and splits at commas."""
    parser.add_argument('--data', metavar='DIR', help='folder of images, in place of the one that the config names')


def add_resolution_argument(parser: argparse.ArgumentParser) -> None:
    """``--resolution N``, see :func:`gaia_ssl.engine.resolution.set_config_resolution`."""
    parser.add_argument('--resolution', type=int, metavar='N',
                        help="side of all images in pixels, in place of the config's; its FLOPs and budget groups follow")


def add_files_arguments(parser: argparse.ArgumentParser, listed: bool = True) -> None:
    """``--include`` and ``--exclude``, and ``--list`` if ``listed``: which files of the folder of images."""
    for name, what in (('include', 'take only files'), ('exclude', 'take no file')):
        parser.add_argument(f'--{name}', action='append', default=[], metavar='PATTERN',
                            help=f"{what} that the pattern matches, e.g. '*.png' or 'masks/*'; may be given several times")
    if listed:
        parser.add_argument('--list', metavar='FILE',
                            help='take the images that FILE lists, a path in the folder, or a full one, a line')


def file_choice(arguments: argparse.Namespace) -> FileChoice:
    """What :func:`add_files_arguments` asked for.

    Raises:
        UserError: If there is no such list, or a pattern is empty.
    """
    listed = getattr(arguments, 'list', None)
    path = Path(listed).expanduser().absolute() if listed else None
    if path is not None and not path.is_file():
        raise UserError(f'--list {listed}: no such file')
    return FileChoice.of(dict(include=arguments.include, exclude=arguments.exclude, ann_file=str(path or '')))


def set_files(config: Config, loader: str, choice: FileChoice) -> None:
    """Let a loader of ``config`` read the files of ``choice``; what that does not say stays as it is.

    Raises:
        UserError: If there is a choice, but no such loader.
    """
    if choice and not config.get(loader):
        raise UserError(f'{choice}: the config has no {loader}')
    if choice:
        config[loader].dataset.update(choice.arguments())


def set_data(config: Config, loader: str, folder: str | None, option: str = '--data') -> None:
    """Let the loader ``'train_dataloader'`` or ``'test_dataloader'`` of ``config`` read what ``option`` gave, if anything.

    Raises:
        UserError: If it is no folder, or the config has no such loader.
    """
    if folder is None:
        return
    path = Path(folder).expanduser()
    if not path.is_dir():
        raise UserError(f'{option} {folder}: no such folder')
    if not config.get(loader):
        raise UserError(f'{option}: the config has no {loader}')
    config[loader].dataset.data_root = str(path)


def read_config(path: str) -> Config:
    """The config in the file ``path``, or that which ``PACKAGE::FOLDER/NAME.py`` names.

    Raises:
        UserError: If there is none, it does not parse, or the package is none of :data:`INSTALLED_CONFIGS`.
    """
    package, separator, name = path.partition('::')
    if os.path.isfile(path):
        file = Path(path)
    elif separator:
        file = _installed_config(package, name)
    else:
        raise UserError(f'{path}: no such config file')
    try:
        return Config.fromfile(file)
    except Exception as error:  # a config is Python code and fails in as many ways
        raise UserError(f'{path}: not a config that can be read ({type(error).__name__}: {error})') from error


def _installed_config(package: str, name: str) -> Path:
    if package not in INSTALLED_CONFIGS:
        known = ', '.join(f'{each}::' for each in INSTALLED_CONFIGS)
        raise UserError(f'{package}::{name}: configs can be named by {known} only; give the file itself')
    try:
        configs = mim_folder('configs') if package == 'gaia_ssl' else Path(get_installed_path(package), '.mim', 'configs')
    except PackageNotFoundError as error:
        raise UserError(f'{package}::{name}: {package} is not installed') from error
    file = configs / name
    if not file.is_file():
        near = difflib.get_close_matches(name, [each.relative_to(configs).as_posix() for each in configs.glob('*/*.py')], n=1)
        hint = f'did you mean {package}::{near[0]}?' if near else f'{package} has its configs in {configs}'
        raise UserError(f'{package}::{name}: no such config; {hint}')
    return file


def load_config(arguments: argparse.Namespace) -> Config:
    """The config with the flags of :func:`add_config_arguments` or :func:`add_runner_arguments` applied.

    Raises:
        UserError: If the file is missing or does not parse.
    """
    return apply_arguments(read_config(arguments.config), arguments,
                           os.path.splitext(os.path.basename(arguments.config))[0])


def apply_arguments(config: Config, arguments: argparse.Namespace, name: str) -> Config:
    """``config``, called ``name``, with the flags of :func:`add_config_arguments` or :func:`add_runner_arguments` applied.

    Raises:
        UserError: If an option of ``--cfg-options`` does not suit it.
    """
    from gaia_ssl.engine.check_settings import check_settings  # here, for it brings what some tools need not wait for

    os.environ.setdefault('LOCAL_RANK', str(arguments.local_rank))
    config.launcher = arguments.launcher
    if arguments.cfg_options:
        check_option_names(config, arguments.cfg_options)
        try:
            config.merge_from_dict(arguments.cfg_options)
        except (KeyError, IndexError, TypeError, AttributeError, AssertionError) as error:
            raise UserError(f'--cfg-options: not a setting of the config ({type(error).__name__}: {error})') from error
    config.work_dir = os.path.expanduser(arguments.work_dir or config.get('work_dir') or os.path.join('work_dirs', name))
    check_settings(config)
    return config


def read_archs(text: str) -> str | int | list[str]:
    """The value of ``--archs``: ``all``, a number, or a file with an arch a line."""
    if text == 'all':
        return text
    if text.isascii() and text.isdigit():
        return int(text)
    try:
        return [line.strip() for line in Path(text).read_text(encoding='utf-8-sig').splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"--archs is '{text}'; give 'all', a number a group, or a text file with an arch a line") from error


def check_seeds(seeds: Sequence[int]) -> None:
    """Raise a UserError if one of ``--seeds`` is negative."""
    if min(seeds) < 0:
        raise UserError(f'--seeds has {min(seeds)}; give numbers of 0 or more')


def count_processes(launcher: str) -> int:
    """How many processes the job has, before they have met."""
    name = dict(pytorch='WORLD_SIZE', slurm='SLURM_NTASKS', mpi='OMPI_COMM_WORLD_SIZE').get(launcher, '')
    return int(os.environ.get(name, 1))


def is_first_process() -> bool:
    """Whether this is the job's only process or its first, before they have met."""
    return all(os.environ.get(name, '') in ('', '0') for name in ('RANK', 'SLURM_PROCID', 'OMPI_COMM_WORLD_RANK'))


def join_processes(launcher: str, timeout: datetime.timedelta | None = None) -> None:
    """Join torchrun's processes where there is no GPU, which mmengine would ask for; it takes a group that is there.

    Args:
        launcher: As on the command line.
        timeout: How long processes wait for one another; default torch's.
    """
    if launcher == 'pytorch' and not torch.cuda.is_available():
        torch.distributed.init_process_group('gloo', timeout=timeout)
