"""The hooks and wrappers inside a Runner of this process."""

import pathlib
import stat

import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.runner import Runner

from gaia_ssl.checkpoint import load_checkpoint
from gaia_ssl.engine import AtomicCheckpointHook, AutocastOptimWrapper, SandwichSamplerHook
from gaia_ssl.errors import UserError
from gaia_ssl.space import SandwichSampler
from tests import tiny
from tests.distributed import run_distributed, train_in_process

CURES = dict(type='gaia_ssl.SandwichSamplerHook', weights=dict(max=2.5), slow_start=0.5, phases=2)


class Probe(Hook):
    """Notes the archs of each step and the outputs, and calls ``act`` after it."""

    priority = 'VERY_LOW'

    def __init__(self, act=lambda runner: None) -> None:
        self.act, self.archs, self.outputs = act, [], []

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        self.archs.append(dict(runner.model.sandwich))
        self.outputs.append({name: float(value) for name, value in outputs.items()})
        self.act(runner)


def make_runner(tmp_path: pathlib.Path, *hooks: Hook, count: int = 16, options: dict | None = None,
                **further) -> Runner:
    config = Config.fromfile(tiny.write_config(tmp_path / 'tiny.py', tiny.photos(tmp_path / 'data', count), **further))
    config.work_dir = str(tmp_path / 'run')
    config.merge_from_dict(options or {})
    runner = Runner.from_cfg(config)
    for hook in hooks:
        runner.register_hook(hook)
    return runner


def checkpoints(tmp_path: pathlib.Path) -> list[str]:
    return sorted(path.name for path in (tmp_path / 'run').glob('*.pth'))


def test_each_step_runs_its_sandwich_and_logs_each_loss(tmp_path):
    probe = Probe()
    make_runner(tmp_path, probe).train()
    sampler = SandwichSampler(tiny.SPACE, seed=0)
    assert probe.archs == [sampler.sample(step) for step in range(4)]
    assert [list(archs) for archs in probe.archs] == [['random_1', 'random_2', 'max']] * 4
    for outputs in probe.outputs:
        assert set(outputs) == {'loss', 'loss_random_1', 'loss_random_2', 'loss_max'}
        assert outputs['loss'] == pytest.approx(sum(outputs.values()) - outputs['loss'])


def test_with_min_and_without_random(tmp_path):
    probe = Probe()
    make_runner(tmp_path, probe, custom_hooks=[
        dict(type='gaia_ssl.SandwichSamplerHook', sandwich='min+max')], epochs=1).train()
    assert probe.archs == [dict(min=tiny.SPACE.min, max=tiny.SPACE.max)] * 2


def test_weights_that_are_not_finite_are_not_saved(tmp_path):
    def poison(runner):
        if runner.iter == 3:  # the last step of the second epoch
            runner.model.backbone.layer2[0].conv1.weight.data[0, 0] = float('nan')

    runner = make_runner(tmp_path, Probe(poison))
    with pytest.raises(UserError, match=r'not saved at iteration .*layer2\.0\.conv1\.weight.*not finite') as info:
        runner.train()
    assert '\n' not in str(info.value)
    assert checkpoints(tmp_path) == ['epoch_1.pth']


def test_a_loss_that_is_not_finite_stops_the_run(tmp_path):
    def poison(runner):
        if runner.iter == 2:
            runner.model.backbone.conv1.weight.data.fill_(float('inf'))

    with pytest.raises(UserError, match=r'loss is not finite at iteration 3 \(random_1'):
        make_runner(tmp_path, Probe(poison)).train()
    assert checkpoints(tmp_path) == ['epoch_1.pth']


def test_a_batch_larger_than_the_data(tmp_path):
    """In the hook, for runs without a scheduler by epoch; tools/train.py looks earlier."""
    with pytest.raises(UserError, match='batch of 32 on 1 processes is larger than the data of 16 images'):
        make_runner(tmp_path, batch_size=32, param_scheduler=[]).train()


def test_another_model_is_refused(tmp_path):
    class Other(BaseModel):

        def forward(self, inputs, mode):
            return inputs

    class FakeRunner:
        model = Other()

    with pytest.raises(UserError, match='works on a supernet, and the model is a Other'):
        SandwichSamplerHook().before_train(FakeRunner)


def test_leftovers_of_a_killed_save_are_removed(tmp_path):
    (tmp_path / 'run').mkdir()
    (tmp_path / 'run' / '.epoch_1.abc_1234.pth').write_bytes(b'half a checkpoint')
    (tmp_path / 'run' / 'mine.pth').write_bytes(b'not yours')
    make_runner(tmp_path, epochs=4).train()
    assert not list((tmp_path / 'run').glob('.*.pth'))
    assert checkpoints(tmp_path) == ['epoch_2.pth', 'epoch_3.pth', 'epoch_4.pth', 'mine.pth']  # the config keeps 3
    mode = (tmp_path / 'run' / 'epoch_4.pth').stat().st_mode
    plain = tmp_path / 'plain'
    plain.touch()
    assert stat.S_IMODE(mode) == stat.S_IMODE(plain.stat().st_mode)


def test_a_save_that_fails_keeps_the_last_whole_checkpoint(tmp_path, monkeypatch):
    runner = make_runner(tmp_path, epochs=4, options={'default_hooks.checkpoint.max_keep_ckpts': 2})
    write = pathlib.Path.write_bytes

    def full_disk(path, data):
        if path.name.startswith('.epoch_4'):
            write(path, data[:len(data) // 2])
            raise OSError('No space left on device')
        return write(path, data)

    monkeypatch.setattr(pathlib.Path, 'write_bytes', full_disk)
    with pytest.raises(OSError, match='No space left'):
        runner.train()
    assert checkpoints(tmp_path) == ['epoch_3.pth']
    assert load_checkpoint(tmp_path / 'run' / 'epoch_3.pth')['meta']['epoch'] == 3
    assert not list((tmp_path / 'run').glob('.*.pth'))


@pytest.mark.parametrize('keep', [0, 1])
def test_fewer_than_two_checkpoints_are_refused(keep):
    with pytest.raises(UserError, match='keep at least 2'):
        AtomicCheckpointHook(interval=1, max_keep_ckpts=keep)
    AtomicCheckpointHook(interval=1, max_keep_ckpts=-1)
    assert AtomicCheckpointHook(interval=1).max_keep_ckpts == 2


def test_autocast_on_the_cpu(tmp_path):
    dtypes = set()
    runner = make_runner(tmp_path, epochs=1, options={'optim_wrapper.type': 'gaia_ssl.AutocastOptimWrapper'})
    runner.model.backbone.layer1[0].conv1.register_forward_hook(lambda module, args, out: dtypes.add(out.dtype))
    before = {name: value.clone() for name, value in runner.model.named_parameters()}
    runner.train()
    assert isinstance(runner.optim_wrapper, AutocastOptimWrapper)
    assert dtypes == {torch.bfloat16}
    assert all(value.dtype == torch.float32 and value.isfinite().all() for value in runner.model.parameters())
    assert not torch.equal(before['backbone.conv1.weight'], runner.model.backbone.conv1.weight)


def test_gradients_of_an_accumulated_step_are_those_of_the_sum(tmp_path):
    """With accumulation over two steps the weights move every second step only."""
    moved = []

    def note(runner):
        weight = runner.model.backbone.conv1.weight
        moved.append(not torch.equal(weight, note.last))
        note.last = weight.detach().clone()

    runner = make_runner(tmp_path, Probe(note), options={'optim_wrapper.accumulative_counts': 2})
    runner.model.init_weights()
    note.last = runner.model.backbone.conv1.weight.detach().clone()
    runner._has_loaded = True
    runner.train()
    assert moved[1:] == [True, False, True]


def test_cures_come_and_go_with_the_progress(tmp_path):
    """Max alone for half of 8 iterations, then two of the largest choices, then all; the sum is weighted."""
    probe = Probe()
    make_runner(tmp_path, probe, epochs=4, custom_hooks=[CURES]).train()
    assert [len(archs) for archs in probe.archs] == [1] * 4 + [3] * 4
    sampler = SandwichSampler(tiny.SPACE, seed=0, slow_start=0.5, phases=2)
    assert probe.archs == [sampler.sample(step, step / 8) for step in range(8)]
    assert all(arch in tiny.SPACE.upper(0.5) for archs in probe.archs[4:6] for arch in archs.values())
    for outputs in probe.outputs:
        parts = {name: value for name, value in outputs.items() if name != 'loss'}
        assert outputs['loss'] == pytest.approx(sum(parts.values()) + 1.5 * parts['loss_max'])


@pytest.mark.parametrize('weights', [dict(max=0), dict(largest=2), dict(random=float('inf')), dict(min=-1)])
def test_weights_that_are_none(weights):
    with pytest.raises(UserError, match='give min, random, max numbers above 0'):
        SandwichSamplerHook(weights=weights)


@pytest.mark.parametrize('method', tiny.METHODS)
def test_a_run_by_iterations_resumes_amid_an_epoch(tmp_path, method):
    """A checkpoint at iteration 4 of epochs of 3; to the same bits with every method, with cures or without."""
    def stop(runner):
        if runner.iter == 5:
            raise KeyboardInterrupt

    settings = dict(
        method=method, count=24, train_cfg=dict(type='IterBasedTrainLoop', max_iters=8),
        param_scheduler=[dict(type='CosineAnnealingLR', T_max=8, by_epoch=False, begin=0, end=8)],
        log_processor=dict(by_epoch=False),
        default_hooks=dict(logger=dict(interval=1), checkpoint=dict(interval=4, by_epoch=False)))
    cures = {}
    if method == 'densecl':
        settings['custom_hooks'] = [CURES, dict(type='gaia_ssl.GroupDecayHook', weight_decay=0.1)]
        cures = {'model.soft_targets': 0.5, 'model.drop_path': 0.2, 'optim_wrapper.optimizer.weight_decay': 0.}
    make_runner(tmp_path / 'whole', options=cures, **settings).train()
    with pytest.raises(KeyboardInterrupt):
        make_runner(tmp_path / 'stopped', Probe(stop), options=cures, **settings).train()
    resume = {'resume': True, 'load_from': str(tmp_path / 'stopped' / 'run' / 'iter_4.pth')}
    make_runner(tmp_path / 'stopped', options=cures | resume, **settings).train()
    whole, resumed = (load_checkpoint(tmp_path / name / 'run' / 'iter_8.pth') for name in ('whole', 'stopped'))
    assert whole['meta']['iter'] == resumed['meta']['iter'] == 8
    assert tiny.equal(resumed['state_dict'], whole['state_dict'])
    assert tiny.equal(resumed['optimizer'], whole['optimizer'])


@pytest.mark.parametrize('kept', [1, 2])
def test_a_run_resumes_amid_an_accumulated_step(tmp_path, kept):
    """Epochs of three iterations, two a step: to the same bits from any of them."""
    settings = dict(count=24, epochs=4, options={'optim_wrapper.accumulative_counts': 2,
                                                 'default_hooks.checkpoint.max_keep_ckpts': -1})
    make_runner(tmp_path, **settings).train()
    run = tmp_path / 'run'
    whole = load_checkpoint(run / 'epoch_4.pth')
    amid = load_checkpoint(run / f'epoch_{kept}.pth')
    assert len(amid['accumulation']['gradients']) == (len(dict(tiny.supernet().backbone.named_parameters())) + 4) * (kept == 1)
    for later in range(kept + 1, 5):
        (run / f'epoch_{later}.pth').unlink()
    settings['options'] |= {'resume': True, 'load_from': str(run / f'epoch_{kept}.pth')}
    make_runner(tmp_path, **settings).train()
    resumed = load_checkpoint(run / 'epoch_4.pth')
    assert tiny.equal(resumed['state_dict'], whole['state_dict'])
    assert tiny.equal(resumed['optimizer'], whole['optimizer'])


@pytest.mark.slow
def test_two_processes_resume_amid_an_accumulated_step(tmp_path):
    """Each process has a gradient of its own until the step is complete."""
    config = tiny.write_config(tmp_path / 'tiny.py', tiny.photos(tmp_path / 'data', 24), epochs=2, batch_size=4)
    run, options = tmp_path / 'run', {'optim_wrapper.accumulative_counts': 2, 'default_hooks.checkpoint.max_keep_ckpts': -1}
    run_distributed(train_in_process, 2, str(config), str(run), options)
    whole, amid = load_checkpoint(run / 'epoch_2.pth'), load_checkpoint(run / 'epoch_1.pth')
    of_processes = amid['accumulation']['gradients']['backbone.conv1.weight']
    assert len(of_processes) == 2 and not torch.equal(*of_processes)
    (run / 'epoch_2.pth').unlink()
    options |= {'resume': True, 'load_from': str(run / 'epoch_1.pth')}
    run_distributed(train_in_process, 2, str(config), str(run), options)
    resumed = load_checkpoint(run / 'epoch_2.pth')
    assert tiny.equal(resumed['state_dict'], whole['state_dict'])
    assert tiny.equal(resumed['optimizer'], whole['optimizer'])


def test_gradients_are_not_saved_twice(tmp_path):
    """Whoever saves or loads later by another way does it at another iteration."""
    def save(runner):
        if runner.iter == 4:
            runner.load_checkpoint(str(tmp_path / 'run' / 'epoch_1.pth'))
            runner.save_checkpoint(str(tmp_path), 'mine.pth')

    make_runner(tmp_path, Probe(save), count=24, options={'optim_wrapper.accumulative_counts': 2}).train()
    assert load_checkpoint(tmp_path / 'run' / 'epoch_1.pth')['accumulation']['gradients']
    assert 'accumulation' not in load_checkpoint(tmp_path / 'mine.pth')


def test_a_distilled_run_resumes_with_its_own_teacher_only(tmp_path):
    settings = dict(method='distill', epochs=2)
    make_runner(tmp_path, **settings).train()
    other = tiny.save_teacher(tmp_path / 'other.pth', seed=1)
    options = {'resume': True, 'load_from': str(tmp_path / 'run' / 'epoch_1.pth'), 'model.teacher': other}
    with pytest.raises(UserError, match='other.pth is not the one that the supernet was trained with'):
        make_runner(tmp_path, options=options, **settings).train()
