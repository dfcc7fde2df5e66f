"""Every config of training and search that the project ships."""

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DATASETS, LOOPS, DefaultScope
from mmengine.runner import Runner

from gaia_ssl import DATA_SPACE, ArchSpace
from gaia_ssl.datasets import ImageFolder, SeededSampler
from gaia_ssl.engine import SandwichSamplerHook, TaskAwareSearchLoop
from gaia_ssl.engine.auto_settings import fill_auto
from gaia_ssl.models.algorithms import Supernet, SupernetMoCo
from gaia_ssl.registry import MODELS
from gaia_ssl.search import TASKS
from tests import tiny

CONFIGS = sorted(path for path in (tiny.ROOT / 'configs').glob('*/*.py')
                 if path.parent.name not in ('_base_', 'downstream'))  # tests/export has those
SEARCH = [path for path in CONFIGS if '_base_/search' in path.read_text(encoding='utf-8')]
TRAINING = [path for path in CONFIGS if path.parent.name == 'data' or path.stem.startswith('train')]


def name(path) -> str:
    return f'{path.parent.name}/{path.stem}'


@pytest.fixture
def data(tmp_path):
    """A folder with images of a size as people have, and a list of them."""
    root = tmp_path / 'images'
    tiny.photos(root / 'train', 4, size=260)
    (root / 'meta').mkdir()
    (root / 'meta' / 'train_10percent.txt').write_text('000.png\n002.png\n')
    return root


@pytest.fixture(autouse=True)
def scope():
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        yield


def on(data, dataset: Config) -> ImageFolder:
    dataset.data_root = str(data)
    return DATASETS.build(dataset)


def shrink(config: Config, tmp_path) -> Config:
    """The config with a tiny model and no workers, as it is otherwise."""
    config.model.backbone.space = dict(tiny.SPACE.to_dict())
    config.model.backbone.pop('init_cfg', None)
    if 'queue_len' in config.model:
        config.model.queue_len = 20
    if 'teacher' in config.model:
        config.model.teacher = tiny.save_teacher(tmp_path / 'teacher.pth')
        config.model.feat_dim = 64
    else:
        config.model.neck.hid_channels = 16
    config.work_dir = str(tmp_path / 'run')
    config.experiment_name = f'{tmp_path.name}_configs'
    for loader in ('train_dataloader', 'test_dataloader'):
        if loader in config:
            config[loader].update(num_workers=0, persistent_workers=False, pin_memory=False, batch_size=2)
    return config


def test_there_is_one_for_each_task():
    assert set(SEARCH) | set(TRAINING) == set(CONFIGS)
    paths = [path for path in SEARCH if path.parent.name == 'search']
    assert {path.stem.split('_')[0] for path in paths} == set(TASKS)
    for path in paths:
        assert Config.fromfile(path).test_cfg.tasks == [path.stem.split('_')[0]]


def test_the_papers_model_builds_whole():
    config = Config.fromfile(tiny.ROOT / 'configs' / 'data' / 'mocov2_r_supernet.py')
    assert ArchSpace(**config.model.backbone.space) == DATA_SPACE
    assert config.optim_wrapper.optimizer == dict(type='SGD', lr=0.12, momentum=0.9, weight_decay=7.5e-5)
    assert (config.train_cfg.max_epochs, config.train_dataloader.batch_size, config.auto_scale_lr.base_batch_size) == (
        200, 64, 1024)
    with torch.device('meta'):
        model = MODELS.build(config.model)
    assert isinstance(model, SupernetMoCo)
    assert tuple(model.queue.shape) == (128, 65536)
    assert sum(value.numel() for value in model.backbone.parameters()) == DATA_SPACE.max.params()


@pytest.mark.parametrize('path', sorted((tiny.ROOT / 'configs').glob('[!_]*/*.py')), ids=name)
def test_one_may_build_on_it_by_gaia_ssl(path, tmp_path):
    """As on the file itself: mmengine leaves no scope in it in which types would not be found."""
    own = tmp_path / 'own.py'
    own.write_text(f"_base_ = 'gaia_ssl::{name(path)}.py'\n")
    assert Config.fromfile(own).to_dict() == Config.fromfile(path).to_dict()


@pytest.mark.parametrize('path', CONFIGS, ids=name)
def test_the_model_builds(path):
    config = Config.fromfile(path)
    if 'queue_len' in config.model:
        config.model.queue_len = 16  # the paper's takes 32 MB of random numbers
    if config.model.backbone.space == 'auto':
        config.model.backbone.space = '64-64x3-128x4-256x6-512x3'
    if config.model.get('feat_dim') == 'auto':
        config.model.feat_dim = 2048
    fill_auto(config, images=1000)
    with torch.device('meta'):
        model = MODELS.build(config.model)
    assert isinstance(model, Supernet)
    assert sum(value.numel() for value in model.backbone.parameters()) == model.backbone.space.max.params(
        model.backbone.stem_kernel)


@pytest.mark.parametrize('path', CONFIGS, ids=name)
def test_the_data_are_read(path, data):
    config = Config.fromfile(path)
    for loader in (config.train_dataloader, config.get('test_dataloader')):
        if loader is None:
            continue
        dataset = on(data, loader.dataset)
        assert len(dataset) == (2 if loader.dataset.get('ann_file') else 4)
        sample = dataset[5, 0]
        side = 32 if 'cifar' in path.name else 112 if 'thin' in path.name else 128 if path.parent.name == 'quickstart' else 224
        views = sample['inputs'] if isinstance(sample['inputs'], list) else [sample['inputs']]
        count = 2 if loader is config.train_dataloader and 'Distill' not in config.model.type else 1
        assert [tuple(view.shape) for view in views] == [(3, side, side)] * count


@pytest.mark.parametrize('path', TRAINING, ids=name)
def test_a_runner_trains(path, data, tmp_path):
    """Optimizer, schedule, hooks and loop are valid: two steps of the tiny model on four images."""
    config = shrink(Config.fromfile(path), tmp_path)
    config.train_dataloader.dataset.data_root = str(data)
    for hook in config.custom_hooks:
        if hook.type == 'gaia_ssl.SubnetEvaluationHook':
            hook.train = str(data)
    by_epoch = 'max_epochs' in config.train_cfg
    fill_auto(config, images=4)
    length = config.train_cfg.max_epochs if by_epoch else config.train_cfg.max_iters
    steps = length * 2 if by_epoch else length  # two batches of two images an epoch
    for scheduler in config.param_scheduler:
        assert scheduler.begin < scheduler.end <= (length if scheduler.by_epoch else steps)
    if any(scheduler.type != 'LinearLR' for scheduler in config.param_scheduler):  # more than a warm-up
        assert max(scheduler.end for scheduler in config.param_scheduler) == (length if scheduler.by_epoch else steps)
    runner = Runner.from_cfg(config)
    if by_epoch:
        runner.train_loop._max_epochs = 2 // len(runner.train_dataloader)
    else:
        runner.train_loop._max_iters = 2
    runner.train()
    assert isinstance(runner.train_dataloader.sampler, SeededSampler)
    assert any(isinstance(hook, SandwichSamplerHook) for hook in runner.hooks)
    assert runner.iter == 2


@pytest.mark.parametrize('path', SEARCH, ids=name)
def test_a_search_loop_builds(path, tmp_path):
    config = shrink(Config.fromfile(path), tmp_path)
    config.test_dataloader.dataset.data_root = str(tiny.photos(tmp_path / 'photos', 40))
    config.test_dataloader.batch_size = 64  # which measures between images need
    config.test_cfg.update(checkpoint=str(tmp_path / 'supernet.pth'))
    fill_auto(config, images=1)
    loop = Runner.from_cfg(config).test_loop
    assert isinstance(loop, TaskAwareSearchLoop) and LOOPS.get('gaia_ssl.TaskAwareSearchLoop') is TaskAwareSearchLoop
    assert len(loop.dataloader.dataset) == 40
    assert loop.archs == 'all'
