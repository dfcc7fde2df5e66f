import os
import pathlib
import sys

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
import torchvision
from safetensors import safe_open
from safetensors.torch import load_file

from gaia_ssl import Arch
from gaia_ssl.checkpoint import load_checkpoint
from gaia_ssl.datasets.center_crops import CenterCrops
from gaia_ssl.errors import UserError
from gaia_ssl.evaluation import calibrate_bn
from gaia_ssl.export import export_subnet, parse_formats, write_formats
from gaia_ssl.export.verify import VerificationError
from gaia_ssl.models import SubnetResNet, extract_subnet
from tests import tiny

ARCH = Arch.parse('5-6x2-7x1-9x2-13x1')
RESNET50 = '64-64x3-128x4-256x6-512x3'


def quiet(line: str) -> None:
    pass


@pytest.fixture(scope='module')
def subnet() -> SubnetResNet:
    net = extract_subnet(tiny.supernet().backbone, ARCH)
    net.out_indices = (0, 1, 2, 3)
    calibrate_bn(net, [tiny.images(4, 1), tiny.images(3, 2)])
    return net


@pytest.fixture(scope='module')
def folder(subnet, tmp_path_factory) -> pathlib.Path:
    """All formats, written once."""
    folder = tmp_path_factory.mktemp('formats')
    lines = []
    paths = write_formats(subnet, folder, ['onnx', 'torch', 'safetensors'], 32,
                          dict(method='SupernetMoCo', mean=[1.0, 2.0], to_rgb=True), report=lines.append)
    assert sorted(os.listdir(folder)) == sorted(path.name for path in paths.values())
    assert [line.split(' (')[0] for line in lines] == [f'verified: {path.name}' for path in paths.values()]
    return folder


def features(subnet: SubnetResNet, images: torch.Tensor) -> list[np.ndarray]:
    with torch.no_grad():
        return [value.numpy() for value in subnet(images)]


@pytest.mark.parametrize('count', [1, 2, 7])
def test_onnx_computes_what_pytorch_does(folder, subnet, count):
    session = onnxruntime.InferenceSession(folder / 'backbone.onnx', providers=['CPUExecutionProvider'])
    images = tiny.images(count, seed=count)
    outs = session.run(None, dict(images=images.numpy()))
    for a, b in zip(outs, features(subnet, images), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4 * np.abs(b).max())


def test_onnx_says_what_it_is(folder):
    model = onnx.load(folder / 'backbone.onnx')
    assert [(entry.domain, entry.version) for entry in model.opset_import if not entry.domain] == [('', 18)]
    assert [value.name for value in model.graph.output] == ['c2', 'c3', 'c4', 'c5']
    [images] = model.graph.input
    dims = images.type.tensor_type.shape.dim
    assert (images.name, dims[0].dim_param, [dim.dim_value for dim in dims[1:]]) == ('images', 'batch', [3, 32, 32])
    meta = {entry.key: entry.value for entry in model.metadata_props}
    assert meta['arch'] == str(ARCH) and meta['method'] == 'SupernetMoCo'


@pytest.mark.parametrize('count', [1, 3])
def test_the_saved_program_computes_what_pytorch_does(folder, subnet, count):
    program = torch.export.load(folder / 'backbone.pt2').module()
    images = tiny.images(count)
    for layout in (torch.contiguous_format, torch.channels_last):
        for a, b in zip(program(images.contiguous(memory_format=layout)), features(subnet, images), strict=True):
            np.testing.assert_allclose(a.detach().numpy(), b, rtol=1e-5, atol=1e-5)


def test_safetensors_hold_the_state_dict_and_what_it_is(folder, subnet):
    state = load_file(folder / 'backbone.safetensors')
    assert tiny.equal({name: state.pop(name) for name in subnet.state_dict()}, dict(subnet.state_dict())) and not state
    with safe_open(folder / 'backbone.safetensors', 'pt') as file:
        assert file.metadata() == dict(arch=str(ARCH), stem_kernel='3', resolution='32', method='SupernetMoCo',
                                       mean='[1.0, 2.0]', to_rgb='true')


@pytest.mark.slow
def test_the_files_are_as_large_as_the_subnet(tmp_path):
    """5 MB of parameters, whatever supernet they came from."""
    net = SubnetResNet('24-24x1-48x2-96x2-128x2').eval()
    size = 4 * sum(value.numel() for value in net.parameters())
    for path in write_formats(net, tmp_path, ['onnx', 'torch', 'safetensors'], 64, report=quiet).values():
        assert size < path.stat().st_size < 1.07 * size, path


def test_torchvision_loads_the_names(tmp_path):
    """All but the classifier, strictly, and computes the same."""
    torch.manual_seed(0)
    net = SubnetResNet(RESNET50)
    calibrate_bn(net, [tiny.images(2, size=64)])
    path = write_formats(net, tmp_path, ['safetensors'], 64, report=quiet)['safetensors']
    theirs = torchvision.models.resnet50().eval()
    missing, unexpected = theirs.load_state_dict(load_file(path), strict=False)
    assert sorted(missing) == ['fc.bias', 'fc.weight'] and unexpected == []
    theirs.fc = torch.nn.Identity()
    images = tiny.images(2, seed=1, size=64)
    with torch.no_grad():
        pooled = net(images)[-1].mean(dim=(2, 3))
        assert torch.allclose(theirs(images), pooled, rtol=1e-4, atol=1e-5 * float(pooled.abs().max()))


def test_some_stages_only(tmp_path):
    net = SubnetResNet('4-4x1-8x1-8x1-16x1', stem_kernel=3, out_indices=(1, 3)).eval()
    path = write_formats(net, tmp_path, ['onnx'], 32, report=quiet)['onnx']
    assert [value.name for value in onnx.load(path).graph.output] == ['c3', 'c5']


def real_images() -> str:
    folder = pathlib.Path(os.environ.get('GAIA_SSL_TEST_DATA', 'nowhere')) / 'imagenette' / 'val'
    if not folder.is_dir():
        pytest.skip('GAIA_SSL_TEST_DATA has no imagenette/val')
    return str(folder)


@pytest.mark.slow
def test_real_images(tmp_path):
    data = real_images()
    checkpoint = tiny.save_supernet(tmp_path / 'supernet.pth', stem_kernel=7)
    exported = load_checkpoint(export_subnet(str(checkpoint), ARCH, data, tmp_path / 'out', resolution=96, batch_size=8,
                                             max_images=16, report=quiet))
    net = SubnetResNet(ARCH)
    net.load_state_dict(exported['state_dict'])
    meta = exported['meta']['gaia_ssl']
    images = next(iter(CenterCrops(data, meta['mean'], meta['std'], meta['to_rgb'], 96, 6, 6, report=quiet)))
    paths = write_formats(net, tmp_path / 'out', ['onnx'], 96, meta, images, report=quiet)
    session = onnxruntime.InferenceSession(paths['onnx'], providers=['CPUExecutionProvider'])
    for a, b in zip(session.run(None, dict(images=images.numpy())), features(net, images), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4 * np.abs(b).max())


@pytest.mark.parametrize('wrong, match', [
    (lambda state: state['layer4.0.bn3.bias'].add_(1), r'the safetensors of .* differs from PyTorch by C2: 0.0e\+00, .*C5: '),
    (lambda state: state['conv1.weight'].mul_(float('nan')), 'C2: nan'),
])
def test_a_file_that_computes_something_else_is_not_kept(subnet, tmp_path, monkeypatch, wrong, match):
    def load(path):
        state = load_file(path)
        wrong(state)
        return state

    (tmp_path / 'backbone.safetensors').write_text('an earlier one')
    monkeypatch.setattr('safetensors.torch.load_file', load)
    with pytest.raises(VerificationError, match=match):
        write_formats(subnet, tmp_path, ['safetensors'], 32, report=quiet)
    assert (tmp_path / 'backbone.safetensors').read_text() == 'an earlier one' and len(os.listdir(tmp_path)) == 1


def test_the_list_of_formats():
    assert parse_formats('onnx, safetensors,torch,onnx') == ['onnx', 'safetensors', 'torch']
    for text, match in (('onnx,tflite', "'tflite' is not a format; choose from onnx, safetensors, torch"),
                        (' , ', 'names no format'), ('', 'names no format')):
        with pytest.raises(UserError, match=match):
            parse_formats(text)


def test_packages_that_are_not_installed(subnet, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, 'onnxruntime', None)
    for call in (lambda: parse_formats('safetensors,onnx'), lambda: write_formats(subnet, tmp_path, ['onnx'], 32)):
        with pytest.raises(UserError, match=r'onnx needs onnxruntime, which cannot be imported .*; '
                                            r'run: python -m pip install -r requirements/onnx.txt'):
            call()
    assert parse_formats('safetensors,torch') == ['safetensors', 'torch'] and not os.listdir(tmp_path)
