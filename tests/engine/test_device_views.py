"""Views made by the model's preprocessor."""

import copy

import pytest
import torch
from mmengine.config import Config
from mmengine.logging import MessageHub
from mmengine.runner import Runner

from gaia_ssl.checkpoint import load_checkpoint
from gaia_ssl.engine.device_views import make_views_on_device
from gaia_ssl.registry import MODELS
from tests import tiny


@pytest.fixture
def hub():
    """The message hub of a run of its own."""
    yield MessageHub.get_instance('device_views')
    MessageHub._instance_dict.pop('device_views')


@pytest.mark.parametrize('name', ['mocov2', 'byol', 'ressl', 'densecl', 'distill'])
def test_the_loader_is_left_with_the_crop(name):
    config = Config.fromfile(tiny.ROOT / 'configs' / 'data' / f'{name}_r_supernet.py')
    before = copy.deepcopy(config)
    assert make_views_on_device(config)
    multi_view, earlier = config.train_dataloader.dataset.pipeline[1], before.train_dataloader.dataset.pipeline[1]
    assert [[transform.type for transform in view] for view in multi_view.transforms] == [['RandomResizedCrop']] * len(
        earlier.transforms)
    views = config.model.data_preprocessor.views
    whole = [[*left, *views[place]] for place, left in enumerate(multi_view.transforms)]
    assert whole == earlier.transforms and len(views) == (1 if name == 'distill' else 2)
    assert not make_views_on_device(Config(dict(before, model=dict(data_preprocessor=dict(type='Other')))))


def test_views_follow_seed_iteration_and_process(hub, monkeypatch):
    config = Config.fromfile(tiny.ROOT / 'configs' / 'data' / 'byol_r_supernet.py')
    make_views_on_device(config)
    preprocessor = MODELS.build(config.model.data_preprocessor)
    crops = [torch.randint(0, 256, (4, 3, 16, 16), dtype=torch.uint8) for _ in range(2)]

    def views(seed=0, iteration=0, rank=0, training=True):
        hub.update_info_dict(dict(seed=seed, iter=iteration))
        monkeypatch.setattr('gaia_ssl.models.algorithms.view_preprocessor.get_rank', lambda: rank)
        return preprocessor(dict(inputs=crops, data_samples=None), training)['inputs']

    first = views()
    assert all(map(torch.equal, first, views()))
    for other in (views(seed=1), views(iteration=1), views(rank=1), views(training=False)):
        assert not any(map(torch.equal, first, other))
    plain = MODELS.build(dict(config.model.data_preprocessor, views=None))(dict(inputs=crops, data_samples=None))['inputs']
    assert all(map(torch.equal, plain, views(training=False)))


def test_a_resumed_training_makes_the_same_views(tmp_path):
    path = tiny.write_config(tmp_path / 'tiny.py', tiny.photos(tmp_path / 'data', 16))

    def train(folder, on_device=True, **further):
        config = Config.fromfile(path)
        if on_device:
            assert make_views_on_device(config)
        config.merge_from_dict(dict(further, work_dir=str(tmp_path / folder), experiment_name=folder))
        Runner.from_cfg(config).train()
        return load_checkpoint(tmp_path / folder / 'epoch_2.pth')['state_dict']

    whole = train('whole')
    resumed = train('resumed', resume=True, load_from=str(tmp_path / 'whole' / 'epoch_1.pth'))
    assert tiny.equal(whole, resumed)
    assert not tiny.equal(whole, train('plain', on_device=False))
