"""How tools end that are stopped or find the disk full: one line on stderr, and what was there before."""

import os
import shutil
import signal
import sys
import time

import pytest

from gaia_ssl import cli
from gaia_ssl.cli.ends import _explained
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
        quickstart=['--work-dir'],
        export=[checkpoint, SMALL, '--max-images', 400, '--batch-size', 2, '--resolution', 224, '--data', data, '--'])
    return {name: [f'{name}.py', *words] for name, words in tools.items()}


SIGNS = dict(train='Epoch(train)', search='by the speed of', evaluate='Epoch(train)', export='calibrating batch norm',
             quickstart='[1/6]')
"""What a tool prints once it is at work."""
ADVICE = dict(
    train=f'{cli.RESUME} (in place of --start, if it has that)', export='nothing was written',
    quickstart='all that was finished is kept; the same command goes on')


@pytest.mark.slow
@pytest.mark.parametrize('name, number', [('train', signal.SIGINT), ('train', signal.SIGTERM), ('search', signal.SIGINT),
                                          ('search', signal.SIGTERM), ('evaluate', signal.SIGTERM), ('export', signal.SIGINT),
                                          ('quickstart', signal.SIGTERM)])
def test_a_stopped_tool_says_so_and_how_to_go_on(commands, tmp_path, name, number):
    process = tiny.start_tool(*commands[name], tmp_path / 'out')
    for line in process.stdout:
        if SIGNS[name] in line:
            break
    time.sleep(0.5)
    (process.send_signal if number == signal.SIGTERM else lambda number: os.killpg(process.pid, number))(number)
    _, err = process.communicate(timeout=60)
    lines = [line for line in err.splitlines() if 'Warning' not in line and 'warn' not in line]
    by, status = ('Ctrl-C', 130) if number == signal.SIGINT else ('SIGTERM', 143)
    advice = ADVICE.get(name, cli.RESUME)
    assert lines == [f'stopped by {by}; {advice}'] and process.returncode == status
    assert not [path for path in (tmp_path / 'out').glob('.*') if path.suffix]


STUCK = '''
import ctypes, sys
from gaia_ssl import cli

def main():
    """A deadlock outside of Python, as processes have that wait for one that is gone."""
    libc, mutex = ctypes.CDLL(None), ctypes.create_string_buffer(64)
    print('stuck', flush=True)
    for _ in range(2):
        libc.pthread_mutex_lock(mutex)

cli.run(main, 'so it is')
'''


@pytest.mark.parametrize('rank, status, said', [
    ('', 143, ['stopped by SIGTERM; so it is']), ('0', 143, ['stopped by SIGTERM; so it is']), ('1', -signal.SIGTERM, [])])
def test_a_process_that_waits_for_others_ends_at_sigterm(rank, status, said):
    process = tiny.start(sys.executable, '-c', STUCK, RANK=rank)
    assert process.stdout.readline() == 'stuck\n'
    time.sleep(0.2)
    start = time.monotonic()
    process.terminate()
    _, err = process.communicate(timeout=60)
    assert process.returncode == status and [line for line in err.splitlines() if 'arn' not in line] == said
    assert (time.monotonic() - start > cli.GRACE / 2) == bool(said)


@pytest.mark.parametrize('text, of_shm', [
    ('DataLoader worker (pid 5) is killed by signal: Bus error. It is possible that dataloader\'s workers are out of shared '
     'memory. Please try to raise your shared memory limit.', True),
    ('unable to allocate shared memory(shm) for file </torch_1_2_3>: No space left on device (28)', True),
    ('out of resource: shared memory, Required: 147456, Hardware limit: 101376. Reducing block sizes may help.', False)])
def test_whose_shared_memory(text, of_shm):
    assert _explained(RuntimeError(text)).startswith('/dev/shm') == of_shm


def test_a_process_whose_neighbour_has_gone():
    error = RuntimeError('[/pytorch/third_party/gloo/gloo/transport/tcp/pair.cc:538] Read error [127.0.0.1]:41370: Connection '
                         'reset by peer')
    assert _explained(error).startswith('another process of this job has ended; ')


@pytest.mark.parametrize('limit, form', [(40_000, 'safetensors'), (63_000, 'safetensors'), (80_000, 'torch')])
def test_a_full_disk_while_exporting(commands, tmp_path, limit, form):
    """A real limit on the size of files stands in for it, too small for one file or another."""
    words = commands['export']
    result = tiny.run_tool(*words[:3], tmp_path / 'out', '--data', words[-2], '--max-images', 8, '--format', form,
                           file_size=limit)
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
