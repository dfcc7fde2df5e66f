"""What a training step of each shipped config keeps in memory, from what autograd saves of fake CUDA tensors."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from torch import distributed
from torch.autograd.graph import saved_tensors_hooks
from torch.testing._internal.distributed.fake_pg import FakeStore

from gaia_ssl.engine.auto_settings import fill_auto
from gaia_ssl.models.algorithms import Supernet
from gaia_ssl.models.teachers.features import TeacherFeatures
from gaia_ssl.registry import MODELS
from tests.gpu.fake import fake_cuda, to_fake
from tests.tiny import ROOT

LIMIT = 80e9
"""Bytes of the GPU that the configs are for."""
CONFIGS = sorted([*ROOT.glob('configs/data/*.py'), *ROOT.glob('configs/quickstart/train*.py')])
LARGEST_START = '64-64x3-128x4-256x23-512x3'
"""ResNet-101, where a config leaves the space to the network that it starts from."""


def _statistics(x: torch.Tensor, *_: object) -> tuple[torch.Tensor, torch.Tensor]:
    return x.new_empty(x.size(1), dtype=torch.float32), x.new_empty(x.size(1), dtype=torch.float32)


SYNC_BATCH_NORM = dict(
    batch_norm_stats=_statistics,
    batch_norm_gather_stats_with_counts=_statistics,
    batch_norm_elemt=lambda x, *_: torch.empty_like(x),
    # A boolean index, which it leaves out where a graph is captured, has no shape without values.
    cuda=SimpleNamespace(is_available=lambda: True, is_current_stream_capturing=lambda: True))
"""What torch's synchronised batch norm calls, and fake tensors do not know."""
KNOWN: dict[str, float] = {}
"""Saved bytes an image, by the model and the side of its images."""
IMAGES = 32
"""That are shown to each model; what is saved grows with their number."""


def read(path: Path) -> Config:
    config = Config.fromfile(path)
    if config.model.backbone.space == 'auto':
        config.model.backbone.space = LARGEST_START
    if config.model.get('feat_dim') == 'auto':
        config.model.feat_dim = 2048
    fill_auto(config, images=1_000_000, gpu=True)
    return config


def views_of(config: Config) -> tuple[int, int]:
    """How many views an image has, and their side in pixels."""
    multi, = (step for step in config.train_dataloader.dataset.pipeline if step['type'] == 'MultiView')
    numbers = multi['num_views'] if isinstance(multi['num_views'], list) else [multi['num_views']]
    scale, = {pipeline[0]['scale'] for pipeline in multi['transforms']}
    return sum(numbers), scale


def saved_bytes(model: Supernet, views: list[torch.Tensor]) -> int:
    """Of the loss of the max arch: each storage once, parameters not."""
    own = {parameter.untyped_storage()._cdata for parameter in model.parameters()}
    saved = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in own:
            saved[storage._cdata] = storage
        return tensor

    model.backbone.set_arch(model.backbone.space.max)
    targets = model.teach(views)
    with saved_tensors_hooks(pack, lambda tensor: tensor):
        model.loss(views, targets)
    return sum(storage.nbytes() for storage in saved.values())


@pytest.fixture(scope='module')
def two_processes():
    """Of which this is the first; what they exchange is not looked at."""
    distributed.init_process_group('fake', store=FakeStore(), rank=0, world_size=2)
    with mock.patch('torch.nn.modules._functions.torch', SimpleNamespace(**dict(vars(torch), **SYNC_BATCH_NORM))):
        yield
    distributed.destroy_process_group()


def bytes_an_image(config: Config) -> float:
    """Of the loss of the config's model, which is on no device yet."""
    views, side = views_of(config)
    with DefaultScope.overwrite_default_scope('mmpretrain'), torch.device('meta'):
        model = MODELS.build(config.model).train()
    features = config.model.get('feat_dim')

    def taught(_: object, images: torch.Tensor) -> TeacherFeatures:
        return TeacherFeatures(images.new_empty(len(images), features), (images.new_empty(len(images), features, 16, 16), ))

    with fake_cuda(), mock.patch('gaia_ssl.models.teachers.FrozenTeacher.forward', taught):
        images = torch.empty(IMAGES, 3, side, side, device='cuda').contiguous(memory_format=torch.channels_last)
        return saved_bytes(to_fake(model), [images] * views) / IMAGES


def weights_of(config: Config) -> int:
    """Parameters that are trained."""
    with DefaultScope.overwrite_default_scope('mmpretrain'), torch.device('meta'):
        model = MODELS.build(config.model)
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)


@pytest.mark.parametrize('path', CONFIGS, ids=lambda path: path.stem)
def test_it_fits(path, two_processes):
    """In float32, with two copies of the weights, their gradients, and two numbers a weight for the optimizer."""
    config = read(path)
    key = f'{config.model} {views_of(config)}'
    if key not in KNOWN:
        KNOWN[key] = bytes_an_image(config)
    batch = config.train_dataloader.batch_size
    print(f'{path.stem}: {KNOWN[key] / 2**20:.0f} MiB an image, {KNOWN[key] * batch / 1e9:.1f} GB at {batch}')
    assert KNOWN[key] * batch + 5 * 4 * weights_of(config) < LIMIT


def test_the_limit_is_one(two_processes):
    """BYOL's two views of 256 images, which it was once to take, are too many."""
    config = read(ROOT / 'configs/data/byol_r_supernet.py')
    key = f'{config.model} {views_of(config)}'
    assert 256 * (KNOWN.get(key) or bytes_an_image(config)) > LIMIT
