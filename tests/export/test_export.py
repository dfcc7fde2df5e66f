import hashlib
import os

import pytest
import torch
from torch import nn

from gaia_ssl import Arch, ArchSpace
from gaia_ssl.datasets.center_crops import CenterCrops
from gaia_ssl.errors import UserError
from gaia_ssl.evaluation import calibrate_bn
from gaia_ssl.export import export_subnet, verify_subnet
from gaia_ssl.export.verify import VerificationError
from gaia_ssl.models import SubnetResNet, extract_subnet
from gaia_ssl.models.supernet_meta import student_backbone
from tests import tiny

OFF_GRID = Arch.parse('5-6x2-7x1-9x1-13x1')
ARCHS = [tiny.SPACE.min, tiny.SPACE[11], tiny.SPACE.max, OFF_GRID]


@pytest.fixture
def checkpoint(tmp_path):
    return tiny.save_supernet(tmp_path / 'supernet.pth')


@pytest.fixture
def data(tmp_path):
    return tiny.photos(tmp_path / 'data', 11)


def export(checkpoint, data, out, arch=OFF_GRID, **kwargs):
    kwargs = dict(resolution=32, batch_size=4, report=lambda line: None) | kwargs
    return export_subnet(str(checkpoint), arch, str(data), out, **kwargs)


def supernet_backbone(seed: int = 0):
    net = tiny.supernet(seed).backbone
    net.out_indices = (0, 1, 2, 3)
    return net


@pytest.mark.parametrize('arch', ARCHS, ids=str)
def test_a_calibrated_subnet_is_verified(arch):
    supernet = supernet_backbone()
    subnet = extract_subnet(supernet, arch)
    calibrate_bn(subnet, [tiny.images(4, 1), tiny.images(3, 2)])
    assert not torch.equal(subnet.bn1.running_mean, supernet.bn1.running_mean[:arch.stem])
    assert verify_subnet(supernet, subnet, tiny.images(3, 3)) == 0.0
    assert supernet.out_indices == subnet.out_indices == (0, 1, 2, 3)


@pytest.mark.parametrize('name', ['conv1.weight', 'layer1.1.conv2.weight', 'layer3.0.downsample.0.weight',
                                  'layer4.0.bn3.bias', 'layer2.0.bn1.weight'])
def test_a_changed_weight_is_found(name):
    supernet = supernet_backbone()
    subnet = extract_subnet(supernet, OFF_GRID)
    subnet.state_dict()[name].mul_(1.05).add_(0.01)
    with pytest.raises(VerificationError, match=f'exported {OFF_GRID} differs'):
        verify_subnet(supernet, subnet, tiny.images(3))


def test_a_weight_that_is_not_a_number_is_found():
    supernet = supernet_backbone()
    subnet = extract_subnet(supernet, OFF_GRID)
    subnet.layer4[0].bn3.bias.data[0] = float('nan')
    with pytest.raises(VerificationError):
        verify_subnet(supernet, subnet, tiny.images(3))


def test_the_export_says_what_it_is(checkpoint, data, tmp_path):
    lines = []
    path = export(checkpoint, data, tmp_path / 'out', max_images=9, report=lines.append)
    assert {file.name for file in (tmp_path / 'out').iterdir()} == {'README.md', 'backbone.pth', 'backbone.py',
                                                                    'backbone.safetensors'}
    content = torch.load(path, weights_only=True)
    meta = content['meta']['gaia_ssl']
    assert meta['arch'] == str(OFF_GRID) and ArchSpace(**meta['space']) == tiny.SPACE
    assert (meta['method'], meta['stem_kernel'], meta['resolution']) == ('SupernetMoCo', 3, 32)
    assert (meta['flops'], meta['params']) == (OFF_GRID.flops(32, 3), OFF_GRID.params(3))
    assert meta['params'] == sum(value.numel() for value in SubnetResNet(OFF_GRID, stem_kernel=3).parameters())
    assert meta['source'] == 'supernet.pth'
    assert meta['source_sha256'] == hashlib.sha256(checkpoint.read_bytes()).hexdigest()
    assert meta['mean'] == pytest.approx(tiny.PREPROCESSOR['mean']) and meta['to_rgb'] is True
    assert meta['calibration']['images'] == 9 and meta['calibration']['batch_size'] == 4
    paths = sorted(data.iterdir())
    chosen = [paths[index * 11 // 9] for index in range(9)]
    listed = ''.join(f'{path.name}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n' for path in chosen)
    assert meta['calibration']['images_sha256'] == hashlib.sha256(listed.encode()).hexdigest()
    assert meta['verification'] == dict(largest_relative_difference=0.0)
    assert any('9 images' in line for line in lines) and any(line.startswith('verified') for line in lines)


@pytest.mark.parametrize('stem_kernel, side', [(3, 32), (7, 224)])
def test_images_are_as_large_as_the_stem_expects(stem_kernel, side, data, tmp_path):
    checkpoint = tiny.save_supernet(tmp_path / 'supernet.pth', stem_kernel=stem_kernel)
    meta = torch.load(export(checkpoint, data, tmp_path / 'out', resolution=None), weights_only=True)['meta']['gaia_ssl']
    assert meta['resolution'] == meta['calibration']['resolution'] == side


def test_the_statistics_are_those_of_the_images(checkpoint, data, tmp_path):
    """The stem's, from the pictures themselves."""
    content = torch.load(export(checkpoint, data, tmp_path / 'out'), weights_only=True)['state_dict']
    mean, std = (torch.tensor(tiny.PREPROCESSOR[key]) for key in ('mean', 'std'))
    images = torch.cat(list(CenterCrops(str(data), mean.tolist(), std.tolist(), True, 32, 4)))
    stem = nn.functional.conv2d(images, content['conv1.weight'], padding=1).double()
    torch.testing.assert_close(content['bn1.running_mean'].double(), stem.mean(dim=(0, 2, 3)), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(content['bn1.running_var'].double(), stem.var(dim=(0, 2, 3), correction=0), rtol=1e-3,
                               atol=1e-5)


def test_the_student_is_exported_not_the_teacher(checkpoint, data, tmp_path):
    content = torch.load(export(checkpoint, data, tmp_path / 'out'), weights_only=True)['state_dict']
    source = torch.load(checkpoint, weights_only=True)['state_dict']
    assert torch.equal(content['layer1.1.conv2.weight'], source['backbone.layer1.1.conv2.weight'][:6, :6])
    assert not torch.equal(content['conv1.weight'], source['teacher.backbone.conv1.weight'][:5])


def test_a_checkpoint_whose_weights_do_not_fit_its_space(checkpoint):
    content = torch.load(checkpoint, weights_only=True)
    content['state_dict'].pop('backbone.conv1.weight')
    with pytest.raises(UserError, match='do not fit its own space.*conv1.weight') as info:
        student_backbone(content, 'supernet.pth')
    assert '\n' not in str(info.value)


def test_a_single_image(checkpoint, tmp_path):
    data = tiny.photos(tmp_path / 'one', 1)
    assert export(checkpoint, data, tmp_path / 'out', resolution=64).is_file()
    with pytest.raises(UserError, match='a single image this small; give a larger --batch-size'):
        export(checkpoint, data, tmp_path / 'small', resolution=8)
    assert not (tmp_path / 'small').exists()


def test_a_name_that_is_no_unicode(checkpoint, data, tmp_path):
    first = sorted(data.iterdir())[0]
    first.rename(os.fsdecode(os.fsencode(data) + b'/\xff.png'))
    assert export(checkpoint, data, tmp_path / 'out').is_file()


def test_no_images(checkpoint, tmp_path):
    (tmp_path / 'empty').mkdir()
    with pytest.raises(UserError, match='no image in'):
        export(checkpoint, tmp_path / 'empty', tmp_path / 'out')
    assert not (tmp_path / 'out' / 'backbone.pth').exists()


@pytest.mark.parametrize('tamper, message', [
    (lambda state: state.pop('layer1.0.bn2.bias'), 'Missing key.*layer1.0.bn2.bias'),
    (lambda state: state.update(extra=torch.zeros(1)), 'Unexpected key.*extra'),
    (lambda state: state.update({'conv1.weight': torch.zeros(6, 3, 3, 3)}), 'size mismatch for conv1.weight'),
])
def test_a_file_whose_keys_do_not_match_is_refused(checkpoint, data, tmp_path, tamper, message):
    path = export(checkpoint, data, tmp_path / 'out')
    content = torch.load(path, weights_only=True)
    tamper(content['state_dict'])
    torch.save(content, path)
    net = SubnetResNet(OFF_GRID, stem_kernel=3, init_cfg=dict(type='Pretrained', checkpoint=str(path)))
    with pytest.raises(UserError, match=message) as info:
        net.init_weights()
    assert '\n' not in str(info.value)


def test_a_file_of_another_arch_or_a_supernet_is_refused(checkpoint, data, tmp_path):
    path = export(checkpoint, data, tmp_path / 'out')
    for arch, file, message in ((tiny.SPACE.min, path, "holds the backbone .* but the config says arch='4-4x1"),
                                (OFF_GRID, checkpoint, 'not an exported backbone')):
        net = SubnetResNet(arch, stem_kernel=3, init_cfg=dict(type='Pretrained', checkpoint=str(file)))
        with pytest.raises(UserError, match=message):
            net.init_weights()
