"""tools/train.py as real processes: killed and resumed, and two at once."""

import random
import re
import time

import pytest
import torch

from gaia_ssl import ArchSpace
from gaia_ssl.checkpoint import load_checkpoint
from gaia_ssl.run_log import read_run_log
from gaia_ssl.space import SandwichSampler
from tests import tiny
from tests.distributed import run_distributed, train_in_process

EPOCHS = 12


def test_a_killed_training_resumes_to_the_same_bits(tmp_path):
    config = tiny.write_config(tmp_path / 'tiny.py', tiny.photos(tmp_path / 'data', 24), epochs=EPOCHS, workers=2)
    whole, killed = tmp_path / 'whole', tmp_path / 'killed'
    process = tiny.start_tool('train.py', config, '--work-dir', killed)
    while not (killed / 'epoch_1.pth').exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.005)
    time.sleep(random.Random(0).uniform(0, 0.5))
    tiny.kill(process)
    assert not (killed / f'epoch_{EPOCHS}.pth').exists()

    for folder, flags in ((killed, ['--resume']), (whole, [])):
        result = tiny.run_tool('train.py', config, '--work-dir', folder, *flags)
        assert result.returncode == 0, result.stderr
    assert 'resumed epoch' in (log := ''.join(path.read_text() for path in killed.glob('*/*.log'))), log[-2000:]

    expected, actual = (load_checkpoint(folder / f'epoch_{EPOCHS}.pth') for folder in (whole, killed))
    assert {'queue', 'queue_ptr', 'teacher.backbone.conv1.weight'} <= set(expected['state_dict'])
    assert tiny.equal(actual['state_dict'], expected['state_dict'])
    assert expected['optimizer']['state']
    assert tiny.equal(actual['optimizer'], expected['optimizer'])
    assert actual['meta']['iter'] == expected['meta']['iter'] == 3 * EPOCHS
    # The training did move the weights, and the teacher behind them.
    first = load_checkpoint(sorted(whole.glob('epoch_*.pth'), key=lambda path: int(path.stem[6:]))[0])
    for name in ('backbone.conv1.weight', 'teacher.backbone.conv1.weight', 'queue'):
        assert not torch.equal(first['state_dict'][name], expected['state_dict'][name])

    # What the run leaves besides: its description in each checkpoint, and the loss of each arch.
    meta = expected['meta']['gaia_ssl']
    assert ArchSpace(**meta['space']) == tiny.SPACE and (meta['method'], meta['stem_kernel']) == ('SupernetMoCo', 3)
    assert meta['mean'] == torch.tensor(tiny.PREPROCESSOR['mean']).tolist() and meta['to_rgb'] is True
    steps = read_run_log(whole)
    assert len(steps) == 3 * EPOCHS
    for step in steps:
        parts = [step[f'loss_{name}'] for name in ('random_1', 'random_2', 'max')]
        assert step['loss'] == pytest.approx(sum(parts), rel=1e-3)
    assert len({step['loss_max'] for step in steps}) > EPOCHS


def test_two_processes_train_one_supernet(tmp_path):
    """Each has its own data and batch norm statistics; archs, weights, teacher and queue are the same."""
    hook = tmp_path / 'rank_dump.py'
    hook.write_text('''
import torch
from mmengine.hooks import Hook
from mmengine.registry import HOOKS


@HOOKS.register_module()
class RankDump(Hook):

    def __init__(self, folder):
        self.folder, self.archs = folder, []

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.archs.append([str(arch) for arch in runner.model.module.sandwich.values()])

    def after_train(self, runner):
        torch.save((self.archs, runner.model.module.state_dict()), f'{self.folder}/rank{runner.rank}.pth')
''')
    hooks = [dict(type='gaia_ssl.SandwichSamplerHook'), dict(type='RankDump', folder=str(tmp_path))]
    config = tiny.write_config(
        tmp_path / 'tiny.py', tiny.photos(tmp_path / 'data', 16), epochs=2, batch_size=4, custom_hooks=hooks,
        custom_imports=dict(imports=['rank_dump']))
    result = tiny.run_tool('dist_train.sh', config, 2, '--work-dir', tmp_path / 'run', PORT=tiny.free_port(),
                           PYTHONPATH=str(tmp_path))
    assert result.returncode == 0, result.stderr
    (archs, state), (other_archs, other_state) = (torch.load(tmp_path / f'rank{rank}.pth') for rank in (0, 1))
    sampler = SandwichSampler(tiny.SPACE, seed=0)
    assert archs == other_archs == [[str(arch) for arch in sampler.sample(step).values()] for step in range(4)]
    for name, value in state.items():
        if 'running' in name:
            continue
        assert torch.equal(value, other_state[name]), name
    means = [name for name in state if name.endswith('running_mean')]
    assert any(not torch.equal(state[name], other_state[name]) for name in means)
    assert state['queue_ptr'].item() == (4 * 8) % 20
    assert len(read_run_log(tmp_path / 'run')) == 4
    assert re.search(r'loss_max: \d', result.stdout)


KILLER = '''
import os
import signal

from mmengine.hooks import Hook
from mmengine.registry import HOOKS


@HOOKS.register_module()
class Killer(Hook):

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if (runner.rank, runner.iter, os.environ.get('TORCHELASTIC_RESTART_COUNT')) == (1, 3, '0'):
            os.kill(os.getpid(), signal.SIGKILL)
'''


@pytest.mark.slow
def test_torchrun_starts_a_killed_training_again(tmp_path):
    """MAX_RESTARTS with --resume: the second attempt goes on from the last checkpoint, to the bits of an undisturbed run."""
    (tmp_path / 'killer.py').write_text(KILLER)
    hooks = [dict(type='gaia_ssl.SandwichSamplerHook'), dict(type='Killer')]
    config = tiny.write_config(
        tmp_path / 'tiny.py', tiny.photos(tmp_path / 'data', 16), epochs=2, batch_size=4, custom_hooks=hooks,
        custom_imports=dict(imports=['killer'], allow_failed_imports=True))
    result = tiny.run_tool('dist_train.sh', config, 2, '--work-dir', tmp_path / 'run', '--resume', MAX_RESTARTS='1',
                           PYTHONPATH=str(tmp_path))
    assert result.returncode == 0 and 'Traceback' not in result.stderr, result.stderr
    assert 'resumed epoch: 1' in ''.join(path.read_text() for path in (tmp_path / 'run').glob('*/*.log'))
    run_distributed(train_in_process, 2, str(config), str(tmp_path / 'whole'), dict(custom_hooks=hooks[:1]))
    whole, killed = (load_checkpoint(tmp_path / name / 'epoch_2.pth') for name in ('whole', 'run'))
    assert tiny.equal(killed['state_dict'], whole['state_dict']) and tiny.equal(killed['optimizer'], whole['optimizer'])
