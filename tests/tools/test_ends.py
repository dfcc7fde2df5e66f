"""How tools end that are stopped or find the disk full: one line on stderr, and what was there before."""

import os
import shutil
import signal
import sys
import time

import pytest

from gaia_ssl import cli
from tests import tiny

SMALL = '4-4x1-8x1-8x1-16x1'


@pytest.fixture(scope='module')
def commands(tmp_path_factory) -> dict[str, list]:
    """Tool -> a command that takes long enough to be stopped amid its work, but for the folder of its output."""
    root = tmp_path_factory.mktemp('ends')
    data, checkpoint = tiny.photos(root / 'data', 400), tiny.save_supernet(root / 'supernet.pth')
    config = tiny.write_config(root / 'tiny.py', data, epochs=1000, workers=1)
    tools = dict(
        train=[config, '--work-dir'],
        search=[config, checkpoint, '--archs', 'all', '--work-dir'],
        evaluate=[checkpoint, '--data', tiny.labelled_photos(root / 'labelled', 90, 8), '--protocol', 'linear',
                  '--epochs', 900, '--work-dir'],
        export=[checkpoint, SMALL, '--max-images', 400, '--batch-size', 2, '--resolution', 224, '--data', data, '--'])
    return {name: [sys.executable, tiny.ROOT / 'tools' / f'{name}.py', *words] for name, words in tools.items()}


SIGNS = dict(train='Epoch(train)', search='by the speed of', evaluate='Epoch(train)', export='calibrating batch norm')
"""What a tool prints once it is at work."""


@pytest.mark.slow
@pytest.mark.parametrize('name, number', [('train', signal.SIGINT), ('train', signal.SIGTERM), ('search', signal.SIGINT),
                                          ('search', signal.SIGTERM), ('evaluate', signal.SIGTERM), ('export', signal.SIGINT)])
def test_a_stopped_tool_says_so_and_how_to_go_on(commands, tmp_path, name, number):
    process = tiny.start(*commands[name], tmp_path / 'out')
    for line in process.stdout:
        if SIGNS[name] in line:
            break
    time.sleep(0.5)
    (process.send_signal if number == signal.SIGTERM else lambda number: os.killpg(process.pid, number))(number)
    _, err = process.communicate(timeout=60)
    lines = [line for line in err.splitlines() if 'Warning' not in line and 'warn' not in line]
    by, status = ('Ctrl-C', 130) if number == signal.SIGINT else ('SIGTERM', 143)
    advice = 'nothing was written' if name == 'export' else cli.RESUME
    assert lines == [f'stopped by {by}; {advice}'] and process.returncode == status
    assert not [path for path in (tmp_path / 'out').glob('.*') if path.suffix]


@pytest.mark.parametrize('limit, form', [(40_000, 'safetensors'), (63_000, 'safetensors'), (80_000, 'torch')])
def test_a_full_disk_while_exporting(commands, tmp_path, limit, form):
    """A real limit on the size of files stands in for it, too small for one file or another."""
    script = ('import os, resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); '
              f'resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit})); os.execv(sys.argv[1], sys.argv[1:])')
    words = commands['export']
    command = [*words[:4], tmp_path / 'out', '--data', words[-2], '--max-images', 8, '--format', form]
    result = tiny.run(sys.executable, '-c', script, *command)
    assert result.returncode == 1 and result.stderr.startswith('error: ') and result.stderr.count('\n') == 1, result.stderr
    assert 'File too large; make room' in result.stderr
    assert [*(tmp_path / 'out').iterdir()] == []


@pytest.mark.slow
@pytest.mark.parametrize('size', ['16k', '100k'])
def test_little_shared_memory(tmp_path, size):
    """As in a container: too little to begin, or for the first batch."""
    mount = 'unshare', '-rm', 'sh', '-c', f'mount -t tmpfs -o size={size} tmpfs /dev/shm && exec "$@"', 'sh'
    if not shutil.which('unshare') or tiny.run(*mount, 'true').returncode:
        pytest.skip('no right to mount')
    config = tiny.write_config(tmp_path / 'tiny.py', tiny.photos(tmp_path / 'data', 24), workers=2, batch_size=24)
    result = tiny.run(*mount, sys.executable, tiny.ROOT / 'tools' / 'train.py', config, '--work-dir', tmp_path / 'out')
    told = [line for line in result.stderr.splitlines() if 'arn' not in line]
    assert result.returncode == 1 and len(told) == 1 and told[0].startswith('error: /dev/shm'), result.stderr
