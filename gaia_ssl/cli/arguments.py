"""Arguments that several tools take."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from gaia_ssl.cli.cfg_options import CfgOptions
from gaia_ssl.errors import UserError
from gaia_ssl.file_choice import FileChoice

CONFIG_HELP = 'config file; gaia_ssl::FOLDER/NAME.py is one that comes with gaia_ssl, e.g. gaia_ssl::search/c2-c5_coco.py'


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
