import pytest
import torch
from mmpretrain.structures import DataSample

from gaia_ssl.registry import MODELS
from tests.models.algorithms.helpers import MEAN, STD


@pytest.mark.parametrize('settings', [dict(mean=MEAN, std=STD, to_rgb=True), dict(mean=MEAN, std=STD), dict(to_rgb=True)])
@pytest.mark.parametrize('views', [1, 2])
def test_is_mmpretrains_to_the_bit(settings, views):
    inputs = [torch.randint(0, 256, (2, 3, 5, 4), dtype=torch.uint8) for _ in range(views)]
    data = dict(inputs=inputs if views > 1 else inputs[0], data_samples=[DataSample()] * 2)
    ours, theirs = (MODELS.build(dict(type=name, **settings))(data)['inputs']
                    for name in ('gaia_ssl.ViewPreprocessor', 'mmpretrain.SelfSupDataPreprocessor'))
    assert type(ours) is type(theirs)
    for one, other in zip(ours, theirs, strict=True):
        assert torch.equal(one, other) and one.dtype == other.dtype
