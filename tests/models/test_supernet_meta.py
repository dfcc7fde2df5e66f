import pytest
import torch

from gaia_ssl.errors import UserError
from gaia_ssl.models.supernet_meta import read_supernet_meta, student_backbone, supernet_meta
from tests.models.algorithms.helpers import build_moco


@pytest.fixture
def checkpoint(tiny_space) -> dict:
    model = build_moco(tiny_space)
    return dict(state_dict=model.state_dict(), meta=dict(gaia_ssl=supernet_meta(model)))


def test_describes_the_supernet_in_plain_values(checkpoint, tiny_space):
    assert checkpoint['meta']['gaia_ssl'] == dict(
        method='SupernetMoCo', space=tiny_space.to_dict(), stem_kernel=3, mean=[100., 110., 120.], std=[50., 60., 70.],
        to_rgb=True)
    assert read_supernet_meta(checkpoint, 'a.pth')['space'] == tiny_space


def test_the_students_backbone_comes_back(checkpoint, tiny_space):
    model, backbone = build_moco(tiny_space), student_backbone(checkpoint, 'a.pth')
    assert not backbone.training and backbone.stem_kernel == 3
    x = torch.randn(2, 3, 16, 16)
    outs = backbone(x)
    assert len(outs) == 4 and torch.equal(outs[-1], model.backbone.eval()(x)[0])


@pytest.mark.parametrize('change, match', [
    (lambda c: c.pop('state_dict'), 'not a checkpoint of a gaia_ssl supernet'),
    (lambda c: c.pop('meta'), 'not a checkpoint of a gaia_ssl supernet'),
    (lambda c: c['meta'].pop('gaia_ssl'), 'not a checkpoint of a gaia_ssl supernet'),
    (lambda c: c['meta'].update(gaia_ssl=None), 'not a checkpoint of a gaia_ssl supernet'),
    (lambda c: c['meta']['gaia_ssl'].pop('stem_kernel'), 'not a checkpoint of a gaia_ssl supernet'),
    (lambda c: c['meta']['gaia_ssl'].update(space=5), 'space'),
    (lambda c: c['meta']['gaia_ssl']['space'].pop('stem'), 'space'),
    (lambda c: c['meta']['gaia_ssl']['space'].update(stem=[8, 4]), 'ascending'),
    (lambda c: c['meta']['gaia_ssl']['space'].update(stem=[4, 9]), r'do not fit its own space: .*size mismatch'),
    (lambda c: c['state_dict'].pop('backbone.conv1.weight'), r'do not fit its own space: .*Missing key'),
])
def test_broken_checkpoints_are_user_errors(checkpoint, change, match):
    change(checkpoint)
    with pytest.raises(UserError, match=match) as info:
        student_backbone(checkpoint, 'a.pth')
    assert str(info.value).startswith('a.pth: ') and '\n' not in str(info.value)
