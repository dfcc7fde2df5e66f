import pytest
from mmengine.config import Config

from gaia_ssl.datasets.resolution import resolution_of
from gaia_ssl.engine.resolution import set_config_resolution
from gaia_ssl.errors import UserError
from tests import tiny

EDGES = [35e6, 70e6, 100e6, 130e6, 160e6, 195e6]


def config(name: str) -> Config:
    return Config.fromfile(tiny.ROOT / 'configs' / 'quickstart' / f'{name}.py')


def test_one_number_for_all_sizes():
    search = config('search')
    set_config_resolution(search, 64, 'test_dataloader')
    assert resolution_of(search.test_dataloader.dataset.pipeline) == search.test_cfg.resolution == 64
    assert search.test_dataloader.dataset.pipeline[1].scale == 73
    assert search.test_cfg.group_edges == pytest.approx([edge / 4 for edge in EDGES], rel=1e-2)
    assert len(set(search.test_cfg.group_edges)) == len(EDGES)

    training = config('train_start')
    set_config_resolution(training, 96, 'train_dataloader')
    assert resolution_of(training.train_dataloader.dataset.pipeline) == training.custom_hooks[-1].resolution == 96
    assert '128' not in training.pretty_text


def test_groups_that_are_meant_as_they_are():
    search = config('search')
    set_config_resolution(search, 64, 'test_dataloader', keep_groups=True)
    assert search.test_cfg.group_edges == EDGES and search.test_cfg.resolution == 64


def test_nothing_is_asked_for():
    search = config('search')
    set_config_resolution(search, None, 'test_dataloader')
    assert search.to_dict() == config('search').to_dict()


def test_what_cannot_be_set():
    with pytest.raises(UserError, match='--resolution is 0; give a number of pixels'):
        set_config_resolution(config('search'), 0, 'test_dataloader')
    with pytest.raises(UserError, match="pipeline of the config's test_dataloader has neither"):
        set_config_resolution(config('train'), 64, 'test_dataloader')
