"""The command ``gaia-ssl``: every tool as a subcommand, from the same file as ``python tools/NAME.py``.

Standard library only: ``gaia-ssl doctor`` runs where nothing else does.
"""

from __future__ import annotations

import ast
import difflib
import importlib.util
import pathlib
import sys

from gaia_ssl import __doc__ as DESCRIPTION
from gaia_ssl import __version__
from gaia_ssl.mim_folder import mim_folder

PROGRAM = 'gaia-ssl'
COMMANDS = {
    'quickstart': 'quickstart',
    'train': 'train',
    'search': 'search',
    'export': 'export',
    'evaluate': 'evaluate',
    'compare': 'compare_backbones',
    'rank': 'rank_correlation',
    'domains': 'compare_domains',
    'latency': 'measure_latency',
    'pixels': 'measure_pixels',
    'split': 'draw_split',
    'convert': 'convert_reference',
    'demo': 'make_demo_data',
    'doctor': 'doctor',
}
"""Subcommand -> the name of its tool."""


def main() -> None:
    """Run what the command line says.

    Raises:
        SystemExit: As the tool ends; with status 2 if there is no such subcommand.
    """
    command, *arguments = sys.argv[1:] or ['--help']
    if command in ('-h', '--help'):
        print(overview())
    elif command == '--version':
        print(f'{PROGRAM} {__version__}')
    elif command in COMMANDS:
        run_tool(command, arguments)
    else:
        near = difflib.get_close_matches(command, COMMANDS, cutoff=0.5)
        hint = f'did you mean {" or ".join(near)}?' if near else f'choose from {", ".join(COMMANDS)}'
        print(f"error: '{command}' is not a command of {PROGRAM}; {hint}", file=sys.stderr)
        sys.exit(2)


def overview() -> str:
    """What ``gaia-ssl --help`` prints: the subcommands, each with the first line of its tool's docstring."""
    width = max(map(len, COMMANDS))
    lines = [f'  {command:<{width}}  {summary(tool_path(command))}' for command in COMMANDS]
    return '\n'.join([f'usage: {PROGRAM} COMMAND ...', '', DESCRIPTION or '', '', *lines, '',
                      f'{PROGRAM} COMMAND --help tells more of each, {PROGRAM} --version which this is.'])


def summary(path: pathlib.Path) -> str:
    """The first line of a file's docstring; the file is not run."""
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding='utf-8'))) or ''
    return docstring.partition('\n')[0].rstrip('.:')


def tool_path(command: str) -> pathlib.Path:
    """The file that a subcommand runs."""
    return mim_folder('tools') / f'{COMMANDS[command]}.py'


def run_tool(command: str, arguments: list[str]) -> None:
    """Run a subcommand's file as ``python FILE ARGUMENTS`` does, but under its name here."""
    path = tool_path(command)
    sys.argv = [f'{PROGRAM} {command}', *arguments]
    sys.path.insert(0, str(path.parent))
    spec = importlib.util.spec_from_file_location('__main__', path)
    assert spec is not None and spec.loader is not None
    module = sys.modules['__main__'] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
