import copy

import pytest
from mmengine.config import Config

from gaia_ssl.datasets.resolution import resolution_of, set_resolution
from tests import tiny


@pytest.mark.parametrize('name, sides', [
    ('data/byol_r_supernet.py', (224, 96)), ('data/ressl_r_supernet_cifar.py', (32, 96)), ('search/c2-c5_coco.py', (224, 96)),
    ('quickstart/search.py', (128, 96)), ('downstream/classification.py', (224, 96))])
def test_every_view_is_set(name, sides):
    """Of each pipeline in a config, nested ones as well: read, set, and all else as it was."""
    config = Config.fromfile(tiny.ROOT / 'configs' / name)
    loader = config.get('test_dataloader') or config.train_dataloader
    pipeline = loader.dataset.pipeline
    before = copy.deepcopy(pipeline)
    assert resolution_of(pipeline) == sides[0]
    set_resolution(pipeline, sides[1])
    assert resolution_of(pipeline) == sides[1] and str(before) != str(pipeline)
    assert f'{sides[0]}' not in str(pipeline)
    set_resolution(pipeline, sides[0])
    assert pipeline == before


def test_a_pipeline_without_crops():
    assert resolution_of([dict(type='LoadImageFromFile'), dict(type='PackInputs')]) is None
    assert resolution_of([dict(type='RandomResizedCrop', scale=(96, 64))]) == 96
