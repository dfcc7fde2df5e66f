"""``gaia-ssl``: the tools under one name, wherever it is called."""

import ast
import os
import subprocess
import sys

import pytest

from gaia_ssl import __version__, console
from tests import tiny

TOOLS = tiny.ROOT / 'tools'


def in_a_process(*words: object, cwd: os.PathLike, options: tuple[str, ...] = ()) -> subprocess.CompletedProcess:
    """``python -m gaia_ssl WORDS`` in another folder; PYTHONPATH for an interpreter that sees no packages."""
    command = [sys.executable, *options, '-m', 'gaia_ssl', *map(str, words)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=300,
                          env=tiny.environment(PYTHONPATH=str(tiny.ROOT)))


@pytest.fixture
def call(monkeypatch, capsys):
    """``call('train', '--help')`` in this process: exit status, stdout, stderr."""
    def call(*words: str) -> tuple[object, str, str]:
        monkeypatch.setattr(sys, 'argv', ['/usr/bin/gaia-ssl', *words])
        monkeypatch.setattr(sys, 'path', sys.path.copy())
        monkeypatch.setattr(sys, 'excepthook', sys.excepthook)
        monkeypatch.setitem(sys.modules, '__main__', sys.modules['__main__'])
        for name in ('TORCH_FORCE_WEIGHTS_ONLY_LOAD', 'LOCAL_RANK'):
            monkeypatch.setenv(name, '0')
        try:
            status = console.main()
        except SystemExit as exit:
            status = exit.code
        return status, *capsys.readouterr()

    return call


def test_every_tool_is_a_subcommand():
    tools = {path.stem for path in TOOLS.glob('*.py')} - {'import_guard', 'launch'}  # no user's tools
    assert sorted(console.COMMANDS.values()) == sorted(tools)


@pytest.mark.parametrize('words', [(), ('--help', ), ('-h', )])
def test_the_overview_tells_what_each_does(call, words):
    status, out, err = call(*words)
    assert not status and not err
    assert max(map(len, out.splitlines())) <= 120
    for command, tool in console.COMMANDS.items():
        docstring = ast.get_docstring(ast.parse((TOOLS / f'{tool}.py').read_text()))
        line = next(line for line in out.splitlines() if line.startswith(f'  {command} '))
        assert docstring.splitlines()[0].startswith(line.split(maxsplit=1)[1])


@pytest.mark.parametrize('command', console.COMMANDS)
def test_help(call, command):
    status, out, err = call(command, '--help')
    assert status == 0 and not err
    assert out.startswith(f'usage: gaia-ssl {command} [-h]')
    assert console.summary(console.tool_path(command)) in ' '.join(out.split())
    assert 'python tools/' not in out


def test_the_version(call):
    assert call('--version') == (None, f'gaia-ssl {__version__}\n', '')


@pytest.mark.parametrize('word, hint', [
    ('serach', 'did you mean search?'), ('evaluation', 'did you mean evaluate?'), ('xyz', 'choose from quickstart, train, '),
    ('tools/train.py', 'did you mean train?'), ('', 'choose from'), ('--verbose', 'choose from'),
])
def test_what_is_no_command(call, word, hint):
    status, out, err = call(word, 'config.py')
    assert status == 2 and not out and err.count('\n') == 1
    assert err.startswith(f"error: '{word}' is not a command of gaia-ssl; {hint}")


def test_the_package_itself_imports_nothing():
    code = 'import sys, gaia_ssl; print("numpy" in sys.modules, "gaia_ssl.console" in sys.modules, gaia_ssl.Arch.__name__)'
    result = tiny.run(sys.executable, '-c', code)
    assert result.stdout == 'False False Arch\n', result.stderr


@pytest.mark.slow
def test_a_tool_runs_from_any_folder(tmp_path):
    tiny.labelled_photos(tmp_path / 'photos')
    result = in_a_process('split', 'photos', '--percent', 50, cwd=tmp_path)
    assert result.returncode == 0 and result.stdout.splitlines()[-1].startswith('9 of 18 images'), result.stderr
    assert (tmp_path / 'photos' / 'meta' / 'train_labeled_50percent.txt').is_file()
    again = in_a_process('split', 'photos', '--percent', 50, cwd=tmp_path)
    assert again.returncode == 1 and again.stderr.startswith('error: ') and again.stderr.count('\n') == 1


def test_without_packages(tmp_path):
    """``-S`` hides all of them: tools point to the doctor, which runs."""
    result = in_a_process('split', 'photos', cwd=tmp_path, options=('-S', ))
    assert result.returncode == 1 and result.stderr.startswith('error: ') and result.stderr.count('\n') == 1
    assert result.stderr.endswith('; run gaia-ssl doctor\n')
    result = in_a_process('doctor', cwd=tmp_path, options=('-S', ))
    assert result.returncode == 1 and 'Traceback' not in result.stderr
    assert 'missing: torch, torchvision' in result.stdout


def test_a_bug_in_a_tool_keeps_its_traceback(tmp_path):
    (tmp_path / 'tool.py').write_text('import import_guard\ndef main():\n    raise ValueError("a bug")\nmain()\n')
    code = (f'import pathlib, sys\nfrom gaia_ssl import console\nsys.path.append({str(TOOLS)!r})\n'
            f'console.tool_path = lambda command: pathlib.Path({str(tmp_path / "tool.py")!r})\nconsole.run_tool("train", [])\n')
    result = tiny.run(sys.executable, '-c', code)
    assert result.returncode == 1 and 'Traceback' in result.stderr and result.stderr.endswith('ValueError: a bug\n')
