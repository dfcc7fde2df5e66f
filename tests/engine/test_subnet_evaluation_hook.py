"""Subnets judged inside a Runner, and in two processes."""

import re

import pandas as pd
import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from gaia_ssl.checkpoint import load_checkpoint
from gaia_ssl.engine import SubnetEvaluationHook
from gaia_ssl.errors import UserError
from gaia_ssl.run_log import read_run_log
from tests import tiny
from tests.engine.test_hooks import Probe, make_runner

EXTRA = '4-8x1-8x1-16x1-16x1'
MAX, MIN = str(tiny.SPACE.max), str(tiny.SPACE.min)


@pytest.fixture
def classes(tmp_path):
    """train/ and val/ of two classes, which differ in brightness."""
    for split, count in (('train', 12), ('val', 6)):
        for index, name in enumerate(('dark', 'light')):
            folder = tiny.photos(tmp_path / 'classes' / split / name, count, seed=index)
            for path in folder.iterdir():
                Image.open(path).point(lambda value, index=index: value // 3 + 150 * index).save(path)
    return tmp_path / 'classes'


def judge(classes, **kwargs) -> SubnetEvaluationHook:
    settings = dict(val=str(classes / 'val'), archs=[EXTRA, MAX], resolution=32, batch_size=10, k=5)
    return SubnetEvaluationHook(str(classes / 'train'), **{**settings, **kwargs})


def history(folder) -> pd.DataFrame:
    return pd.read_csv(folder / 'run' / 'subnets.csv', float_precision='round_trip')


def log(folder) -> str:
    return ''.join(path.read_text() for path in sorted((folder / 'run').glob('*/*.log')))


def warnings_of(folder) -> list[str]:
    return [line for line in log(folder).splitlines() if ' WARNING - ' in line and 'the subnet' in line]


def test_a_judged_training_is_the_same_training(tmp_path, classes):
    """The same bits with the hook and without; and what the hook leaves."""
    backends = {'visualizer.vis_backends': [dict(type='LocalVisBackend'), dict(type='TensorboardVisBackend')]}
    make_runner(tmp_path / 'plain').train()
    runner = make_runner(tmp_path / 'judged', judge(classes), options=backends)
    runner.train()
    plain, judged = (load_checkpoint(tmp_path / name / 'run' / 'epoch_2.pth') for name in ('plain', 'judged'))
    assert tiny.equal(judged['state_dict'], plain['state_dict'])
    assert plain['optimizer']['state'] and tiny.equal(judged['optimizer'], plain['optimizer'])
    assert judged['meta']['iter'] == plain['meta']['iter'] == 4

    table = history(tmp_path / 'judged')
    assert table['epoch'].tolist() == [0] * 3 + [1] * 3 + [2] * 3 and table['iter'].tolist() == [0] * 3 + [2] * 3 + [4] * 3
    assert table['subnet'].tolist() == ['max', 'min', EXTRA] * 3 and table['arch'].tolist() == [MAX, MIN, EXTRA] * 3
    assert table['knn'].between(0.8, 1).all()  # brightness is easy to tell
    assert table['rankme'].between(1.01, 8).all() and table['std'].between(0.01, 1.1).all()
    assert table.groupby('subnet')['std'].nunique().eq(3).all()  # the weights move
    assert (tmp_path / 'judged' / 'run' / 'subnets.png').exists()
    assert re.search(rf'INFO - epoch 1, min \({MIN}\): knn [\d.]+, rankme [\d.]+, std [\d.]+\n', log(tmp_path / 'judged'))

    events = EventAccumulator(runner.visualizer.get_backend('TensorboardVisBackend')._save_dir)
    events.Reload()
    for subnet, rows in table.groupby('subnet'):
        for measure in ('knn', 'rankme', 'std'):
            scalars = events.Scalars(f'{measure}/{subnet}')
            assert [scalar.step for scalar in scalars] == [0, 2, 4]
            assert [scalar.value for scalar in scalars] == pytest.approx(rows[measure].tolist(), rel=1e-6)
    assert [line['step'] for line in read_run_log(tmp_path / 'judged' / 'run') if 'std/max' in line] == [0, 2, 4]


def test_a_resumed_run_goes_on_with_the_curve(tmp_path, classes):
    """Killed in epoch 4 after the checkpoint of epoch 3 of which nothing was judged yet."""
    def stop(runner):
        if runner.iter == 6:
            raise KeyboardInterrupt

    make_runner(tmp_path / 'whole', judge(classes, archs=[]), epochs=4).train()
    with pytest.raises(KeyboardInterrupt):
        make_runner(tmp_path / 'killed', judge(classes, archs=[]), Probe(stop), epochs=4).train()
    table = history(tmp_path / 'killed')
    assert table['epoch'].max() == 3
    table[table['epoch'] < 3].to_csv(tmp_path / 'killed' / 'run' / 'subnets.csv', index=False)
    resume = {'resume': True, 'load_from': str(tmp_path / 'killed' / 'run' / 'epoch_3.pth')}
    make_runner(tmp_path / 'killed', judge(classes, archs=[]), epochs=4, options=resume).train()
    whole, resumed = history(tmp_path / 'whole'), history(tmp_path / 'killed')
    assert whole['epoch'].unique().tolist() == [0, 1, 2, 3, 4]
    pd.testing.assert_frame_equal(resumed, whole, check_exact=True)


def test_every_so_many_epochs_and_at_the_end(tmp_path, classes):
    make_runner(tmp_path, judge(classes, val=None, interval=2), epochs=3).train()
    table = history(tmp_path)
    assert table['epoch'].unique().tolist() == [0, 2, 3]
    assert table['knn'].isna().all() and table['std'].notna().all()


def test_a_training_by_iterations(tmp_path, classes):
    settings = dict(
        train_cfg=dict(type='IterBasedTrainLoop', max_iters=5), log_processor=dict(by_epoch=False),
        param_scheduler=[], default_hooks=dict(checkpoint=dict(interval=5, by_epoch=False)))
    make_runner(tmp_path, judge(classes, by_epoch=False, interval=2, num_images=10, num_val_images=4), **settings).train()
    assert history(tmp_path)['iter'].unique().tolist() == [0, 2, 4, 5]
    assert 'judging 3 subnets on 10 images' in log(tmp_path)
    with pytest.raises(UserError, match='goes by iterations; give it by_epoch=False'):
        make_runner(tmp_path / 'other', judge(classes), **settings).train()


def test_a_subnet_that_collapses_is_named(tmp_path, classes):
    """The smallest subnet's half of the stem dies: it sees nothing, while larger ones still see."""
    def kill_half(runner):
        for tensor in (runner.model.backbone.bn1.weight, runner.model.backbone.bn1.bias):
            tensor.data[:4] = 0

    slow = dict(epochs=1, options={'optim_wrapper.optimizer.lr': 1e-3})
    make_runner(tmp_path / 'healthy', judge(classes, archs=[]), **slow).train()
    assert warnings_of(tmp_path / 'healthy') == []
    make_runner(tmp_path / 'collapsed', judge(classes, archs=[]), Probe(kill_half), **slow).train()
    warning, = warnings_of(tmp_path / 'collapsed')
    assert re.search(rf'epoch 1: the subnet min \({MIN}\) has collapsed: rankme 1 is below 2, std \S+ is below 0\.1, '
                     'so that .*; lower the learning rate .* go back to a checkpoint', warning)
    table = history(tmp_path / 'collapsed').query('epoch == 1').set_index('subnet')
    assert table['std']['min'] < 1e-3 < 0.1 < table['std']['max']


def test_a_constant_neck_is_a_collapse_of_all(tmp_path, classes):
    def constant(runner):
        runner.model.neck.mlp[-1].weight.data.zero_()
        runner.model.neck.mlp[-1].bias.data.fill_(1)

    make_runner(tmp_path, judge(classes), Probe(constant), epochs=1).train()
    assert [re.search(r'the subnet (\S+)', line)[1] for line in warnings_of(tmp_path)] == ['max', 'min', EXTRA]


def test_a_subnet_that_is_not_finite_is_named(tmp_path, classes):
    def poison(runner):
        if runner.iter == 1:
            runner.model.neck.mlp[-1].bias.data[0] = float('nan')

    settings = dict(epochs=1, default_hooks=dict(checkpoint=dict(interval=9, save_last=False)))
    make_runner(tmp_path, judge(classes, val=None), Probe(poison), **settings).train()
    assert len(warnings_of(tmp_path)) == 3
    assert f'the subnet min ({MIN}) is broken: rankme, std not finite; lower the learning rate' in warnings_of(tmp_path)[1]


@pytest.mark.parametrize('settings, match', [
    (dict(val='nowhere'), 'no such folder: nowhere'),
    (dict(val='{train}/dark'), r'dark: no labels, because it has no folder a class'),
    (dict(val='{odd}'), r'odd: class (bright|dim) is not among the 2 of .*train; name the class folders alike'),
    (dict(num_images=1), 'train: 1 images of one class, dark; kNN needs'),
    (dict(k=25), 'train: 24 images are too few to judge by, it takes 25; raise num_images, or lower k'),
    (dict(val=None, num_images=1), 'train: 1 images are too few to judge by, it takes 2'),
    (dict(archs=['8-8x2']), "'8-8x2' is not an arch"),
    (dict(archs='64-8x1-8x1-16x1-16x1'), 'larger than the supernet'),
    (dict(resolution=0), 'must be 1 or more'),
])
def test_errors_come_before_training(tmp_path, classes, settings, match):
    tiny.photos(classes / 'odd' / 'bright', 2)
    tiny.photos(classes / 'odd' / 'dim', 2)
    if settings.get('val'):
        settings = dict(val=settings['val'].format(train=classes / 'train', odd=classes / 'odd'))
    probe = Probe()
    with pytest.raises(UserError, match=match) as info:
        make_runner(tmp_path, judge(classes, **settings), probe).train()
    assert '\n' not in str(info.value) and probe.archs == []
    assert not (tmp_path / 'run' / 'subnets.csv').exists()


@pytest.mark.parametrize('settings', [dict(interval=0), dict(k=0)])
def test_numbers_out_of_range(classes, settings):
    with pytest.raises(UserError, match='both are 1 or more'):
        judge(classes, **settings)


def test_two_processes_do_not_wait_for_ever(tmp_path, classes):
    """Synchronised batch norm in the model, one process judges."""
    hooks = [dict(type='gaia_ssl.SandwichSamplerHook'), dict(
        type='gaia_ssl.SubnetEvaluationHook', train=str(classes / 'train'), val=str(classes / 'val'), resolution=32, k=5)]
    config = tiny.write_config(tmp_path / 'tiny.py', tiny.photos(tmp_path / 'data', 16), epochs=2, batch_size=4,
                               custom_hooks=hooks)
    norm = 'model.backbone.norm_cfg.type=SyncBN'
    result = tiny.run_tool('dist_train.sh', config, 2, '--work-dir', tmp_path / 'run', '--cfg-options', norm,
                           PORT=tiny.free_port())
    assert result.returncode == 0, result.stderr
    assert history(tmp_path)['epoch'].tolist() == [0, 0, 1, 1, 2, 2]
    assert history(tmp_path)['std'].notna().all()


def test_by_default_it_judges_at_what_is_trained(tmp_path, classes):
    """At the side of the views, on files that the training's patterns take."""
    hook = judge(classes, val=None, archs=[], resolution=None)
    runner = make_runner(tmp_path / 'judged', hook, options={'train_dataloader.dataset.exclude': ['light/*', '00[0-3].*']})
    shrunk = runner.cfg.train_dataloader.dataset.pipeline[1].transforms[0][0]
    assert shrunk.type == 'RandomResizedCrop'
    shrunk.scale = 24
    hook.before_train(runner)
    assert hook.images.resolution == 24 and len(hook.images.dataset) == 8
    assert next(iter(hook.images)).shape[1:] == (3, 24, 24)
    named = judge(classes, val=None, archs=[], exclude='dark/*')
    named.before_train(runner)
    assert named.images.resolution == 32 and len(named.images.dataset) == 12
