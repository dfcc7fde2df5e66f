"""What the command-line tools share."""

from gaia_ssl.launched import RESUME

from .arguments import (
    CONFIG_HELP,
    add_config_arguments,
    add_data_argument,
    add_files_arguments,
    add_resolution_argument,
    add_runner_arguments,
    check_seeds,
    file_choice,
    read_archs,
)
from .cfg_options import CfgOptions, check_option_names
from .configs import apply_arguments, load_config, read_config, set_data, set_files, set_images
from .ends import run
from .processes import count_processes, is_first_process, join_processes
from .sigterm import GRACE

__all__ = [
    'CONFIG_HELP', 'GRACE', 'RESUME', 'CfgOptions', 'add_config_arguments', 'add_data_argument', 'add_files_arguments',
    'add_resolution_argument', 'add_runner_arguments', 'apply_arguments', 'check_option_names', 'check_seeds',
    'count_processes', 'file_choice', 'is_first_process', 'join_processes', 'load_config', 'read_archs', 'read_config', 'run',
    'set_data', 'set_files', 'set_images',
]
