"""Checkpoints that a run cannot go on from: one line, before any work."""

import copy

import pytest
import torch
from mmengine.registry import init_default_scope

from gaia_ssl.checkpoint import load_checkpoint
from gaia_ssl.engine.resume import check_resume, check_resumed_run
from gaia_ssl.errors import UserError
from tests.engine.test_hooks import make_runner


@pytest.fixture
def run(written, no_default_scope):
    init_default_scope('mmpretrain')  # that of the Runner
    return written


@pytest.fixture(scope='module')
def written(tmp_path_factory):
    """A run of two epochs, its checkpoint of the first, and a Runner that could resume it."""
    folder = tmp_path_factory.mktemp('run')
    make_runner(folder, epochs=2).train()
    return make_runner(folder, epochs=2), load_checkpoint(folder / 'run' / 'epoch_1.pth')


def refused(run, checkpoint) -> str:
    with pytest.raises(UserError) as info:
        check_resume(checkpoint, 'a.pth')
        check_resumed_run(run[0], checkpoint, 'a.pth')
    message = str(info.value)
    assert message.startswith('a.pth: ') and '\n' not in message and len(message) < 400
    return message


def changed(checkpoint: dict, *path, value=None) -> dict:
    """A copy with another value at ``path``, or without it."""
    checkpoint = copy.deepcopy(checkpoint)
    place = checkpoint
    for key in path[:-1]:
        place = place[key]
    if value is KeyError:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return checkpoint


def test_what_training_wrote_can_be_resumed(run):
    check_resume(run[1], 'a.pth')
    check_resumed_run(run[0], run[1], 'a.pth')
    check_resumed_run(run[0], copy.deepcopy(run[1]), 'a.pth')  # the first check left the runner as it was


@pytest.mark.parametrize('name', ['iter', 'epoch'])
@pytest.mark.parametrize('value', [-1, '3', None, 1.0, True, 10**12, 10**400, [1], KeyError])
def test_counts(run, name, value):
    assert name in refused(run, changed(run[1], 'meta', name, value=value))


@pytest.mark.parametrize('value', ['0', -1, 2**32, 1.5, [0]])
def test_seeds(run, value):
    assert 'its seed is' in refused(run, changed(run[1], 'meta', 'seed', value=value))


@pytest.mark.parametrize('name', ['optimizer', 'param_schedulers', 'message_hub'])
@pytest.mark.parametrize('value', ['text', {}, [], None, 5, ['text'], {'state': 'text'}, {'log_scalars': 'text'}, KeyError])
def test_states(run, name, value):
    refused(run, changed(run[1], name, value=value))


@pytest.mark.parametrize('path, value', [
    (('optimizer', 'state'), {}),
    (('optimizer', 'state', 0), 'text'),
    (('optimizer', 'state', 0, 'momentum_buffer'), 'text'),
    (('optimizer', 'state', 0, 'momentum_buffer'), torch.zeros(2)),
    (('optimizer', 'state', 0, 'momentum_buffer'), torch.tensor(0.)),
    (('optimizer', 'state', 0, 'momentum_buffer'), torch.zeros(8, 3, 3, 3).fill_(float('nan'))),
    (('optimizer', 'state', 0, 'momentum_buffer'), torch.zeros(8, 3, 3, 3, dtype=torch.complex64)),
    (('optimizer', 'state', 0, 'momentum_buffer'), 5),
    (('optimizer', 'state', 0, 'momentum_buffer'), KeyError),
    (('optimizer', 'state', 0, 'further'), ['text']),
    (('optimizer', 'state', 999), {}),
    (('optimizer', 'param_groups', 0, 'lr'), 'text'),
    (('optimizer', 'param_groups', 0, 'lr'), float('nan')),
    (('optimizer', 'param_groups', 0, 'momentum'), KeyError),
    (('optimizer', 'param_groups', 0, 'betas'), (0.9, 0.99)),
    (('optimizer', 'param_groups', 0, 'params'), [0]),
    (('optimizer', 'param_groups', 0, 'step'), 'text'),
    (('param_schedulers', 0), 'text'),
    (('param_schedulers', 0, 'T_max'), 'text'),
    (('param_schedulers', 0, 'base_values'), ['text']),
    (('message_hub', 'log_scalars', 'train/loss'), 'text'),
    (('meta', 'gaia_ssl', 'space', 'stem'), [6, 8]),
    (('meta', 'gaia_ssl', 'method'), 'SupernetBYOL'),
    (('meta', 'gaia_ssl', 'mean'), [0.0, 0.0, 0.0]),
    (('meta', 'gaia_ssl'), None),
    (('accumulation', ), 'text'),
    (('accumulation', ), dict(counts=1, gradients={'backbone.conv1.weight': torch.zeros(1)})),
])
def test_parts_of_them(run, path, value):
    refused(run, changed(run[1], *path, value=value))


def trained(folder, optimizer: dict) -> tuple:
    options = {'optim_wrapper.optimizer': dict(optimizer, _delete_=True)}
    make_runner(folder, epochs=2, options=options).train()
    return make_runner(folder, epochs=2, options=options), load_checkpoint(folder / 'run' / 'epoch_1.pth')


@pytest.mark.parametrize('optimizer', [
    dict(type='TorchAdafactor', lr=0.01), dict(type='AdamW', lr=0.01, amsgrad=True), dict(type='NAdam'), dict(type='Adamax'),
    dict(type='RMSprop', centered=True, momentum=0.9), dict(type='Adadelta'), dict(type='Adagrad'), dict(type='ASGD'),
    dict(type='Rprop'), dict(type='LARS', lr=0.1, momentum=0.9), dict(type='Lamb'),
    dict(type='Adan')], ids=lambda each: each['type'])
def test_optimizers_of_many_kinds(tmp_path, no_default_scope, optimizer):
    init_default_scope('mmpretrain')
    runner, checkpoint = trained(tmp_path, optimizer)
    check_resume(checkpoint, 'a.pth')
    check_resumed_run(runner, checkpoint, 'a.pth')


def test_broken_states_of_two_of_them(tmp_path, no_default_scope):
    init_default_scope('mmpretrain')
    adam = trained(tmp_path / 'adam', dict(type='Adam'))
    for name in ('exp_avg', 'exp_avg_sq'):
        assert f'the {name} of its' in refused(adam, changed(adam[1], 'optimizer', 'state', 1, name, value=torch.zeros(3)))
        assert 'less than others' in refused(adam, changed(adam[1], 'optimizer', 'state', 1, name, value=KeyError))
    lars = trained(tmp_path / 'lars', dict(type='LARS', lr=0.1, momentum=0.9))
    path = 'optimizer', 'state', 0, 'momentum_buffer'
    assert 'the momentum_buffer of its' in refused(lars, changed(lars[1], *path, value=torch.zeros(3)))


def test_weights_alone(run):
    """As of a converted or an exported supernet."""
    for meta in ({}, dict(gaia_ssl=run[1]['meta']['gaia_ssl'])):
        assert 'load_from' in refused(run, dict(state_dict=run[1]['state_dict'], meta=meta))


def test_amid_an_optimizer_step_without_its_gradients(run, tmp_path):
    runner = make_runner(tmp_path, count=24, epochs=2, options={'optim_wrapper.accumulative_counts': 3})
    assert 'without its gradients' in refused((runner, ), run[1])


def test_another_run(run, tmp_path):
    """Each kind of difference is named."""
    for options, told in (
            ({'optim_wrapper.optimizer': dict(type='AdamW', lr=0.1, _delete_=True)}, 'another optimizer'),
            ({'model.backbone.space.stem': [6, 8]}, 'with the space'),
            ({'param_scheduler': []}, 'other schedules'),
            ({'train_cfg.max_epochs': 0}, 'the config ends at')):
        runner = make_runner(tmp_path, epochs=2, options=options)
        assert told in refused((runner, ), run[1])
    assert 'SupernetMoCo' in refused((make_runner(tmp_path, method='byol'), ), run[1])
