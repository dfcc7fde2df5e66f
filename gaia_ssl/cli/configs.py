"""The config that a tool runs: read by its name, changed by the words of the command line."""

from __future__ import annotations

import argparse
import difflib
import os
from importlib.metadata import PackageNotFoundError
from pathlib import Path

from mmengine.config import Config
from mmengine.utils import get_installed_path

from gaia_ssl.cli.arguments import file_choice
from gaia_ssl.cli.cfg_options import check_option_names
from gaia_ssl.errors import UserError
from gaia_ssl.file_choice import FileChoice
from gaia_ssl.mim_folder import mim_folder

INSTALLED_CONFIGS = ('gaia_ssl', 'mmdet', 'mmpretrain')
"""Packages whose configs can be named by ``PACKAGE::``. For ``mmseg::``, mmengine pip-installs another mmsegmentation."""


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


def set_images(config: Config, loader: str, arguments: argparse.Namespace, folder: str | None = None,
               option: str = '--data') -> None:
    """:func:`set_data`, then what ``add_files_arguments`` and ``add_resolution_argument`` asked for."""
    from gaia_ssl.engine.resolution import set_config_resolution  # as in apply_arguments

    set_data(config, loader, folder, option)
    set_files(config, loader, file_choice(arguments))
    set_config_resolution(config, arguments.resolution, loader,
                          keep_groups='test_cfg.group_edges' in (arguments.cfg_options or {}))


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
