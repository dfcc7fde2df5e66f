import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from gaia_ssl.errors import UserError
from gaia_ssl.models import SubnetResNet
from gaia_ssl.models.teachers import FrozenTeacher
from gaia_ssl.registry import MODELS
from tests import tiny

OWN = dict(mean=[10., 20., 30.], std=[40., 50., 60.])


def student(to_rgb: bool = True) -> nn.Module:
    return MODELS.build(dict(tiny.PREPROCESSOR, to_rgb=to_rgb))


@pytest.fixture
def config(tmp_path) -> dict:
    return tiny.save_teacher(tmp_path / 'teacher.pth')


@pytest.fixture
def network(config) -> nn.Module:
    network = SubnetResNet('8-8x1-12x1-8x2-16x1', stem_kernel=3)
    network.load_state_dict(torch.load(config['checkpoint'], weights_only=True))
    return network.eval()


@pytest.mark.parametrize('student_rgb, teacher_rgb', [(True, True), (True, False), (False, True), (False, False)])
def test_images_come_in_the_teachers_own_normalisation_and_channel_order(config, network, student_rgb, teacher_rgb):
    files = torch.rand(2, 3, 16, 16) * 255  # BGR, as they are read
    preprocessor = student(student_rgb)
    images = preprocessor(dict(inputs=[files], data_samples=None))['inputs'][0]
    features = FrozenTeacher(dict(config, **OWN, to_rgb=teacher_rgb), preprocessor)(images)
    mean, std = (torch.tensor(OWN[name]).view(3, 1, 1) for name in ('mean', 'std'))
    expected = network(((files.flip(1) if teacher_rgb else files) - mean) / std)
    for actual, each in zip(features.maps, expected, strict=True):
        torch.testing.assert_close(actual, each, rtol=1e-4, atol=1e-4)


def test_without_settings_images_come_as_they_are(config, network):
    images = torch.randn(2, 3, 16, 16)
    assert all(map(torch.equal, FrozenTeacher(config, student())(images).maps, network(images)))


def test_images_are_resized(config, network):
    images = torch.randn(2, 3, 16, 16)
    teacher = FrozenTeacher(dict(config, size=24), student())
    expected = network(F.interpolate(images, (24, 24), mode='bilinear', antialias=True))
    torch.testing.assert_close(teacher(images).map_of('c2'), expected[0])
    assert teacher(torch.randn(1, 3, 24, 24)).maps[0].shape[2:] == (24, 24)


def test_it_is_hidden_from_the_module_that_holds_it_and_moves_with_it(config):
    holder = nn.ModuleDict(dict(frozen=FrozenTeacher(config, student())))
    holder['frozen'].load()
    network = holder['frozen']._hidden['network']
    assert not list(holder.parameters()) and list(holder.state_dict()) == ['frozen.sha256']
    holder.train()
    assert not network.training and not any(parameter.requires_grad for parameter in network.parameters())
    holder.double()
    assert {parameter.dtype for parameter in network.parameters()} == {torch.float64}
    assert holder['frozen'](torch.randn(1, 3, 16, 16, dtype=torch.float64)).pooled.shape == (1, 64)
    assert copy.deepcopy(holder)['frozen']._hidden['network'] is network


def test_the_fingerprint_is_of_the_weights(config, tmp_path):
    def fingerprint(settings):
        teacher = FrozenTeacher(settings, student())
        teacher.load()
        return teacher.fingerprint

    one = fingerprint(config)
    assert one == fingerprint(dict(tiny.save_teacher(tmp_path / 'moved.pth'), size=20))
    assert one != fingerprint(tiny.save_teacher(tmp_path / 'other.pth', seed=1))


@pytest.mark.parametrize('change, match', [
    (dict(mean=[1., 2.]), r'teacher.mean is \[1.0, 2.0\]'), (dict(std=[1., 0., 1.]), 'above 0'),
    (dict(std='large'), "teacher.std is large"), (dict(size=0), 'teacher.size is 0'), (dict(size='big'), 'teacher.size is big'),
])
def test_bad_settings(config, change, match):
    with pytest.raises(UserError, match=match):
        FrozenTeacher({**config, **change}, student())


@pytest.mark.parametrize('settings', ['resnet50.pth', dict(checkpoint='resnet50.pth'), None])
def test_a_teacher_is_a_config(settings):
    with pytest.raises(UserError, match='give the frozen network as dict'):
        FrozenTeacher(settings, student())


def test_an_unknown_argument(config):
    with pytest.raises(UserError, match="unexpected keyword argument 'depth'"):
        FrozenTeacher(dict(config, depth=50), student()).load()
