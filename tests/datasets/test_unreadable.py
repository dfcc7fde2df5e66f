import logging

import pytest
import torch
from mmengine.model import BaseModel
from mmengine.registry import HOOKS
from mmengine.runner import Runner

from gaia_ssl.datasets.unreadable import UnreadableImages
from gaia_ssl.engine.hooks.unreadable_images_hook import UnreadableImagesHook
from gaia_ssl.errors import UserError

PIPELINE = [dict(type='LoadImageFromFile'), dict(type='Resize', scale=8), dict(type='PackInputs')]
DAMAGED = ('a/00_truncated.jpg', 'a/0_zero_bytes.jpg', 'b/4_truncated.png', 'b/7_text.jpg')  # see conftest.py


def test_update_returns_what_is_new_in_order():
    images = UnreadableImages(max_unreadable=1, total=10)
    assert images.update(['b', 'a', 'b']) == ['b', 'a']
    assert images.update(['a', 'c']) == ['c']
    assert images.update([]) == []
    assert images.summary() == '3 of 10 images (30.0%) cannot be read: b, a, c'


def test_nothing_to_summarise():
    assert UnreadableImages(max_unreadable=0, total=10).summary() == ''


def test_the_share_itself_is_accepted_and_more_is_not():
    images = UnreadableImages(max_unreadable=0.2, total=10)
    images.update(['a'])
    images.update(['b', 'a'])
    with pytest.raises(UserError, match=r'^3 of 10 images \(30\.0%\) cannot be read: a, b, c: .*20\.00%') as info:
        images.update(['c'])
    assert '\n' not in str(info.value)


@pytest.mark.parametrize('max_unreadable', [-0.1, 1.1, float('nan')])
def test_max_unreadable_must_be_a_share(max_unreadable):
    with pytest.raises(UserError, match='from 0 to 1'):
        UnreadableImages(max_unreadable, total=10)


class TinyModel(BaseModel):

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(()))

    def forward(self, inputs, data_samples, mode):
        return dict(loss=self.weight * inputs.float().mean())


def train(root, work_dir, epochs: int = 2, num_workers: int = 0, log=None, **hook) -> None:
    """Run a real mmengine Runner over ``root`` with the hook."""
    runner = Runner(
        TinyModel(),
        work_dir=str(work_dir),
        train_dataloader=dict(
            batch_size=4,
            num_workers=num_workers,
            sampler=dict(type='gaia_ssl.SeededSampler'),
            collate_fn=dict(type='default_collate'),
            dataset=dict(type='gaia_ssl.ImageFolder', data_root=str(root), pipeline=PIPELINE)),
        train_cfg=dict(by_epoch=True, max_epochs=epochs),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.)),
        default_hooks=dict(checkpoint=None, logger=None),
        custom_hooks=[dict(type='gaia_ssl.UnreadableImagesHook', **hook)],
        default_scope='mmpretrain',
        randomness=dict(seed=0),
        experiment_name=f'unreadable_{work_dir.parent.name}_{work_dir.name}')
    if log is not None:
        runner.logger.addHandler(log.handler)  # mmengine's logger does not pass records on to the root logger
    runner.train()


def warnings_about(caplog) -> list[str]:
    return [r.message for r in caplog.records if r.levelno == logging.WARNING and 'cannot' in r.message]


@pytest.mark.parametrize('num_workers', [0, 2])
def test_hook_logs_each_file_once_and_the_count(damaged_folder, tmp_path, caplog, num_workers):
    train(damaged_folder, tmp_path / 'run', num_workers=num_workers, log=caplog, max_unreadable=0.5)
    *each, summary = warnings_about(caplog)
    assert sorted(message.split()[2] for message in each) == [f'{damaged_folder / path}:' for path in DAMAGED]
    assert summary.startswith('4 of 11 images (36.4%) cannot be read: ')


def test_hook_is_silent_on_good_data(folder, tmp_path, caplog):
    train(folder, tmp_path / 'run', epochs=1, log=caplog)
    assert caplog.records
    assert warnings_about(caplog) == []


def test_hook_stops_the_run(damaged_folder, tmp_path):
    with pytest.raises(UserError, match=r'of 11 images .*cannot be read: .*max_unreadable=1\.00%'):
        train(damaged_folder, tmp_path / 'run')


def test_a_run_starts_with_an_empty_list():
    hook = UnreadableImagesHook(max_unreadable=1)

    class FakeRunner:
        class train_dataloader:
            dataset = range(5)

    hook.before_train(FakeRunner)
    hook._images.update(['a'])
    hook.before_train(FakeRunner)
    assert hook._images.paths == {}


def test_a_single_process_reports_at_once():
    logged = []

    class FakeRunner:
        iter = 0
        train_dataloader = type('Loader', (), dict(dataset=range(5)))
        logger = type('Logger', (), dict(warning=staticmethod(logged.append)))

    hook = UnreadableImagesHook(max_unreadable=1)
    hook.before_train(FakeRunner)
    hook.after_train_iter(FakeRunner, 0, dict(data_samples=[dict(unreadable=('a',)), dict()]))
    assert logged == ['cannot read a: another image takes its place']


def test_ranks_exchange_their_lists_at_the_interval(monkeypatch):
    from gaia_ssl.engine.hooks import unreadable_images_hook as module
    monkeypatch.setattr(module, 'get_world_size', lambda: 2)
    sent = []
    monkeypatch.setattr(module, 'all_gather_object', lambda paths: (sent.append(paths), [paths, ['other']])[1])
    logged = []

    class FakeRunner:
        iter = 0
        train_dataloader = type('Loader', (), dict(dataset=range(5)))
        logger = type('Logger', (), dict(warning=staticmethod(logged.append)))

    hook = HOOKS.build(dict(type='gaia_ssl.UnreadableImagesHook', max_unreadable=1, interval=2))
    hook.before_train(FakeRunner)
    for FakeRunner.iter in range(3):
        batch = dict(data_samples=[dict(unreadable=(f'{FakeRunner.iter}',))])
        hook.after_train_iter(FakeRunner, FakeRunner.iter, batch)
    assert sent == [['0', '1']]
    assert [message.split(':')[0] for message in logged] == ['cannot read 0', 'cannot read 1', 'cannot read other']
    hook.after_train(FakeRunner)
    assert sent == [['0', '1'], ['2']]
    assert logged[-1].startswith('4 of 5 images')
