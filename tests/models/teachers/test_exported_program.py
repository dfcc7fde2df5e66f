import pytest
import torch

from gaia_ssl.errors import UserError
from gaia_ssl.models import SubnetResNet
from gaia_ssl.models.teachers import FrozenTeacher
from gaia_ssl.registry import MODELS
from tests import tiny


@pytest.fixture(scope='module')
def network() -> SubnetResNet:
    torch.manual_seed(0)
    return SubnetResNet('4-4x1-4x1-4x1-4x1', stem_kernel=3).eval()


@pytest.fixture(scope='module')
def file(network, tmp_path_factory):
    path = tmp_path_factory.mktemp('export') / 'teacher.pt2'
    program = torch.export.export(network, (torch.zeros(2, 3, 16, 16), ), dynamic_shapes=({0: torch.export.Dim('batch')}, ))
    torch.export.save(program, path)
    return path


def teacher(**settings) -> FrozenTeacher:
    return FrozenTeacher(dict(type='gaia_ssl.ExportedProgram', **settings), MODELS.build(dict(tiny.PREPROCESSOR)))


@pytest.mark.parametrize('images', [1, 5])
def test_the_program_is_the_network(network, file, images):
    frozen, images = teacher(checkpoint=str(file), trusted=True), torch.randn(images, 3, 16, 16)
    for actual, expected in zip(frozen(images).maps, network(images), strict=True):
        torch.testing.assert_close(actual, expected)
    assert frozen.fingerprint


def test_a_file_is_refused_unless_it_is_trusted(file):
    with pytest.raises(UserError, match=r'refused, because reading a torch.export file can run code.*teacher.trusted=True'):
        teacher(checkpoint=str(file)).load()


def test_a_missing_and_a_broken_file(file, tmp_path):
    with pytest.raises(UserError, match='no such torch.export file'):
        teacher(checkpoint=str(tmp_path / 'none.pt2')).load()
    broken = tmp_path / 'broken.pt2'
    broken.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(UserError, match=r'broken.pt2: no torch.export file') as info:
        teacher(checkpoint=str(broken), trusted=True).load()
    assert '\n' not in str(info.value)
