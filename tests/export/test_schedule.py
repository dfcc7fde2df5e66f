import pytest
from mmengine.config import Config

from gaia_ssl.export import downstream_config_path
from gaia_ssl.export.schedule import scale_schedule


@pytest.mark.parametrize('task, length, expected', [
    ('imagenet-linear', 10, [dict(milestones=[6, 8])]),
    ('imagenet-semi-1p', 50, [dict(milestones=[30, 40])]),
    ('classification', 40, [dict(begin=0, end=2), dict(begin=2, end=40, T_max=38)]),
    ('classification', 2, [dict(begin=0, end=2, T_max=2)]),
    ('coco-mask-rcnn', 3, [dict(begin=0, end=125), dict(begin=0, end=3, milestones=[2, 3])]),
    ('voc-faster-rcnn-c4', 2400, [dict(begin=0, end=10), dict(begin=0, end=2400, milestones=[1800, 2200])]),
    ('cityscapes-fcn', 400, [dict(begin=0, end=400, eta_min=1e-4, power=0.9)]),
])
def test_schedules_keep_their_proportions(task, length, expected):
    config = Config.fromfile(downstream_config_path(task))
    scale_schedule(config, length)
    assert config.train_cfg.get('max_iters', config.train_cfg.get('max_epochs')) == length
    for scheduler, values in zip(config.param_scheduler, expected, strict=True):
        assert {name: scheduler[name] for name in values} == values
