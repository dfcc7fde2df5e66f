"""``tools/setup_env.sh`` where it cannot succeed: one line that says what to do, and the next run goes on."""

import fcntl
import hashlib
import os
import pathlib
import shutil
import subprocess
import sys

import pytest

from tests import tiny

NOWHERE = 'http://127.0.0.1:9/simple'


@pytest.fixture
def checkout(tmp_path):
    """What a set-up reads of the repository."""
    root = tmp_path / 'checkout'
    for name in ('tools', 'requirements'):
        shutil.copytree(tiny.ROOT / name, root / name)
    for name in ('setup.py', 'pyproject.toml', 'mmcv_torchvision_ops.pth'):
        shutil.copy(tiny.ROOT / name, root)
    return root


def set_up(checkout: pathlib.Path, *arguments: str, **env: str) -> str:
    """Its last line on stderr; it fails."""
    settings = dict(PYTHON=sys.executable, PIP_CONFIG_FILE=os.devnull, PIP_INDEX_URL=NOWHERE, UV_DEFAULT_INDEX=NOWHERE,
                    PIP_RETRIES='0', UV_HTTP_RETRIES='0')
    for name in ('PIP_FIND_LINKS', 'PIP_EXTRA_INDEX_URL'):
        settings[name] = ''
    result = tiny.run('bash', checkout / 'tools' / 'setup_env.sh', *arguments, **{**settings, **env})
    assert result.returncode != 0 and 'Traceback' not in result.stderr, result.stderr
    assert result.stderr.count('\n') == 1, result.stderr
    return result.stderr.strip()


def installed(checkout: pathlib.Path) -> pathlib.Path:
    """An environment in which all steps are done; its interpreter says that the doctor finds nothing."""
    stamps = checkout / '.venv' / '.gaia_ssl_setup'
    stamps.mkdir(parents=True)
    (checkout / '.venv' / 'bin').mkdir()
    python = checkout / '.venv' / 'bin' / 'python'
    python.write_text(f'#!/bin/sh\n[ "$1" = tools/doctor.py ] && echo examined && exit\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    needed = {name: [f'requirements/{name}.txt'] for name in ('torch', 'build', 'openmmlab', 'runtime')}
    for name, files in {**needed, 'package': ['setup.py', 'pyproject.toml', 'mmcv_torchvision_ops.pth']}.items():
        content = b''.join((checkout / file).read_bytes() for file in files)
        (stamps / name).write_text(hashlib.sha256(content).hexdigest() + '\n')
    return stamps


@pytest.mark.parametrize('compiled', [False, True])
def test_where_all_is_installed_it_is_examined_once(checkout, compiled):
    stamps = installed(checkout)
    if compiled:
        (stamps / 'compiled').write_text('hash')
    for examined in (True, False):
        result = tiny.run('bash', checkout / 'tools' / 'setup_env.sh')
        assert result.returncode == 0 and 'environment ready' in result.stdout, result.stderr
        assert ('examined' in result.stdout) == examined and 'installing' not in result.stdout


def test_an_unknown_argument(checkout):
    assert "unknown argument '--cuda'; usage: " in set_up(checkout, '--cuda')


def test_two_at_once(checkout):
    with open(checkout / '.setup.lock', 'w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert 'another set-up is running' in set_up(checkout)


def test_no_interpreter_that_serves(checkout):
    assert 'no Python 3.10, 3.11 or 3.12 found at PYTHON=/nowhere/python' in set_up(checkout, PYTHON='/nowhere/python')


def test_an_interpreter_without_venv(checkout, tmp_path):
    (tmp_path / 'without').mkdir()
    (tmp_path / 'without' / 'ensurepip.py').write_text('raise ImportError')
    assert 'apt-get install python3-venv' in set_up(checkout, PYTHONPATH=str(tmp_path / 'without'))


@pytest.mark.slow
def test_no_network_then_a_half_written_environment(checkout):
    (checkout / '.venv' / 'bin').mkdir(parents=True)
    (checkout / '.venv' / 'bin' / 'python').symlink_to('/nowhere/python')
    for _ in range(2):  # the first run has replaced it by a whole one
        assert 'torch' in (line := set_up(checkout)) and 'could not be had from the package index' in line
        assert (checkout / '.venv' / 'bin' / 'python').exists()
    assert (checkout / '.venv' / '.gaia_ssl_setup' / 'torch.unfinished').exists()


@pytest.mark.slow
def test_a_full_disk(checkout, tmp_path):
    small = tmp_path / 'small'
    small.mkdir()
    if subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=8m', 'tmpfs', small], capture_output=True).returncode:
        pytest.skip('no right to mount a small disk')
    try:
        root = shutil.copytree(checkout, small / 'checkout')
        assert 'the disk is full' in set_up(root)
    finally:
        subprocess.run(['umount', small], check=True)


def test_compiling_without_a_compiler_is_refused_before_any_work(checkout, tmp_path):
    tools = tmp_path / 'bin'
    tools.mkdir()
    for name in ('bash', 'dirname', 'flock', 'date'):
        (tools / name).symlink_to(shutil.which(name))
    assert 'apt-get install g++' in set_up(checkout, '--compile-mmcv', PATH=str(tools))
