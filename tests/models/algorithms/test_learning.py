"""Each method learns on real images: its loss falls, and no subnet collapses."""

import os
import pathlib
import shutil

import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner

from gaia_ssl.datasets.center_crops import CenterCrops
from gaia_ssl.evaluation.subnet_judge import find_collapse, judge_subnet
from gaia_ssl.models.algorithms import Supernet
from tests import tiny

EPOCHS, BATCH_SIZE = 10, 32


@torch.no_grad()
def loss_of(model: Supernet, first: list[torch.Tensor], *batches: list[torch.Tensor]) -> float:
    """The largest arch's on ``batches``, with a queue of the teacher's keys, as it is now, of the ``first`` batch."""
    model.backbone.set_arch(model.backbone.space.max)
    model.finish_step(model.teach(first))  # which fills the queue
    return sum(float(model.loss(views, model.teach(views))) for views in batches) / len(batches)


@pytest.mark.slow
@pytest.mark.skipif('GAIA_SSL_TEST_DATA' not in os.environ, reason='needs real images')
@pytest.mark.parametrize('method', tiny.METHODS)
def test_the_loss_falls_and_nothing_collapses(tmp_path, method):
    images = tmp_path / 'images'
    images.mkdir()
    for path in sorted(pathlib.Path(os.environ['GAIA_SSL_TEST_DATA'], 'cifar10', 'train').glob('*/*'))[::98]:
        shutil.copy(path, images)
    optimizer = dict(type='OptimWrapper', optimizer=dict(type='AdamW', lr=3e-3, weight_decay=1e-4))
    config = Config.fromfile(tiny.write_config(
        tmp_path / 'tiny.py', images, method=method, batch_size=BATCH_SIZE, epochs=EPOCHS, optim_wrapper=optimizer))
    config.work_dir = str(tmp_path / 'run')
    runner = Runner.from_cfg(config)
    runner.call_hook('before_run')
    runner.model.init_weights()
    runner._has_loaded = True  # so that the run starts from these weights
    loader = runner.build_dataloader(config.train_dataloader)
    batches = [runner.model.data_preprocessor(data)['inputs'] for data, _ in zip(loader, range(4), strict=False)]
    before = loss_of(runner.model, *batches)
    runner.train()
    assert loss_of(runner.model, *batches) < before
    crops = CenterCrops(str(images), tiny.PREPROCESSOR['mean'], tiny.PREPROCESSOR['std'], to_rgb=True, resolution=32)
    for arch in (tiny.SPACE.max, tiny.SPACE.min):
        assert find_collapse(judge_subnet(runner.model, arch, crops)) is None
