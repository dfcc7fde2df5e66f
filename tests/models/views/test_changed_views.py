"""What is drawn for a batch against what mmpretrain draws for one image after the other."""

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmpretrain.registry import TRANSFORMS
from scipy.stats import ks_2samp

from gaia_ssl.datasets.image_folder import seeded_generators
from gaia_ssl.models.views import ChangedViews, can_change
from tests import tiny

BASE = tiny.ROOT / 'configs' / '_base_'


def view_of(name: str, number: int = 0) -> list[dict]:
    """A view of a config as it ships, without its crop."""
    pipeline = Config.fromfile(BASE / f'{name}_supernet.py').train_pipeline[1].transforms[number]
    return [dict(transform) for transform in pipeline[1:]]


@pytest.mark.parametrize('name, number', [
    ('mocov2', 0), ('byol', 0), ('byol', 1), ('ressl', 0), ('ressl', 1), ('densecl', 0), ('distill', 0)])
def test_every_method_has_views_that_are_distributed_as_mmpretrains(name, number):
    """Mean, spread and sharpness of 400 views of one image each way: two-sample Kolmogorov-Smirnov."""
    transforms = view_of(name, number)
    assert all(map(can_change, transforms))
    image = np.random.default_rng(0).integers(0, 256, (1, 8, 8, 3)).repeat(2, 1).repeat(2, 2)[0].astype(np.uint8)
    image[:, :8] //= 2
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        one_by_one = [TRANSFORMS.build(dict(transform)) for transform in transforms]
    theirs = []
    with seeded_generators(0):
        for _ in range(400):
            results = dict(img=image.copy())
            for transform in one_by_one:
                results = transform(results)
            theirs.append(results['img'])
    batch = torch.from_numpy(image).movedim(2, 0).expand(400, -1, -1, -1)
    ours = ChangedViews(transforms)(batch, np.random.default_rng(0)).movedim(1, 3).numpy()
    for statistic in (lambda x: x.mean(), lambda x: x.std(), lambda x: x[:, :8].mean() - x[:, 8:].mean(),
                      lambda x: x[..., 0].mean() - x[..., 2].mean(), lambda x: np.abs(np.diff(x, axis=0)).mean()):
        samples = [[statistic(each.astype(np.float64)) for each in views] for views in (ours, theirs)]
        spread = np.std(samples[1]) + 1
        coarse = [np.round(np.array(sample) / spread, 1) for sample in samples]  # Pillow's rounding makes no difference
        assert ks_2samp(*coarse).pvalue > 1e-3


def test_each_image_is_changed_by_itself():
    transforms = view_of('mocov2')
    batch = torch.randint(0, 256, (16, 3, 12, 12), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    views = ChangedViews(transforms)
    found = views(batch, np.random.default_rng(1))
    assert found.dtype == torch.float32 and torch.equal(found, views(batch, np.random.default_rng(1)))
    other = batch.clone()
    other[3] = 0
    unlike = (views(other, np.random.default_rng(1)) != found).flatten(1).any(1)
    assert unlike.nonzero().flatten().tolist() == [3]
    assert torch.equal(ChangedViews([])(batch, np.random.default_rng(1)), batch.float())


@pytest.mark.parametrize('transform', [
    dict(type='RandomResizedCrop', scale=8), dict(type='RandomFlip', prob=0.5, direction='vertical'), dict(type='Nowhere'),
    dict(type='GaussianBlur', magnitude_range=(0.1, 4.0), magnitude_std='inf'), dict(type='GaussianBlur', radius=1.),
    dict(type='RandomGrayscale', prob=0.2, keep_channels=True), dict(type='ColorJitter', hue=0.1, backend='cv2'),
    dict(type='RandomApply', transforms=[dict(type='RandomResizedCrop', scale=8)])])
def test_what_it_cannot_do_is_left_to_the_loader(transform):
    assert not can_change(transform)
