import argparse
import functools
import http.server
import os
import pickle
import threading

import mmpretrain.models
import mmseg.models
import pytest
import torch
import torchvision
from mmengine.registry import DefaultScope
from safetensors.torch import save_file

from gaia_ssl import Arch
from gaia_ssl.errors import UserError
from gaia_ssl.models.pretrained_checkpoint import read_pretrained
from tests import tiny
from tests.models import layouts
from tests.models.layouts import LAYOUTS, save

THIN = os.path.join(os.environ.get('GAIA_SSL_TEST_DATA', 'nowhere'), 'pretrained', 'thin-resnet50.safetensors')


def refusal(checkpoint: dict, tmp_path) -> str:
    with pytest.raises(UserError) as info:
        read_pretrained(save(checkpoint, tmp_path / 'net.pth'))
    message = str(info.value)
    assert message.startswith(f'{tmp_path}/net.pth: ') and '\n' not in message
    return message


@pytest.mark.parametrize('layout', LAYOUTS)
def test_every_layout(layout, tmp_path):
    net, other = layouts.resnet(0).state_dict(), layouts.resnet(1).state_dict()
    pretrained = read_pretrained(save(LAYOUTS[layout](net, other), tmp_path / 'net.pth'))
    assert pretrained.arch == Arch.parse(layouts.ARCH) and pretrained.stem_kernel == 7
    assert pretrained.state_dict.keys() == net.keys()
    assert all(torch.equal(pretrained.state_dict[name], value) for name, value in net.items())


def test_it_says_what_it_took_and_left(tmp_path):
    net, other = layouts.resnet(0).state_dict(), layouts.resnet(1).state_dict()
    text = str(read_pretrained(save(LAYOUTS['moco'](net, other), tmp_path / 'net.pth')))
    assert text == (f"{tmp_path}/net.pth: the ResNet {layouts.ARCH}, 318 tensors under 'state_dict.module.encoder_q'; left "
                    'out: fc (2), module.encoder_k (318), module.queue (1)')


def selfsup(kind: str) -> torch.nn.Module:
    backbone = dict(type='ResNet', depth=50, stem_channels=8, base_channels=8)
    neck = dict(type='MoCoV2Neck', in_channels=256, hid_channels=8, out_channels=8, with_avg_pool=True)
    contrast = dict(type='ContrastiveHead', loss=dict(type='CrossEntropyLoss'))
    byol = dict(type='NonLinearNeck', in_channels=256, hid_channels=8, out_channels=8, num_layers=2, with_avg_pool=True)
    settings = dict(
        MoCo=dict(queue_len=8, feat_dim=8, neck=neck, head=contrast),
        BYOL=dict(neck=byol, head=dict(type='LatentPredictHead', loss=dict(type='CosineSimilarityLoss'), predictor=dict(
            byol, in_channels=8, with_avg_pool=False))),
        DenseCL=dict(queue_len=8, feat_dim=8, head=contrast, neck=dict(
            type='DenseCLNeck', in_channels=256, hid_channels=8, out_channels=8, num_grid=None)))
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        return mmpretrain.registry.MODELS.build(dict(type=kind, backbone=backbone, **settings[kind]))


@pytest.mark.parametrize('kind', ['MoCo', 'BYOL', 'DenseCL'])
def test_mmpretrains_own_supervisors(kind, tmp_path):
    model = selfsup(kind)
    for value in model.backbone.parameters():
        value.data.mul_(2)  # unlike the averaged copy
    pretrained = read_pretrained(save(dict(state_dict=model.state_dict()), tmp_path / 'net.pth'))
    assert all(torch.equal(pretrained.state_dict[name], value) for name, value in model.backbone.state_dict().items())


def test_mmsegs_own_resnet(tmp_path):
    net = layouts.randomise(mmseg.models.backbones.ResNet(101, stem_channels=8, base_channels=8))
    pretrained = read_pretrained(save(net.state_dict(), tmp_path / 'net.pth'))
    assert str(pretrained.arch) == '8-8x3-16x4-32x23-64x3'


def test_our_own_supernets_and_exports(tmp_path):
    model = tiny.supernet()
    path = tiny.save_supernet(tmp_path / 'supernet.pth')
    pretrained = read_pretrained(path)
    assert pretrained.arch == tiny.SPACE.max and pretrained.stem_kernel == 3
    assert all(torch.equal(pretrained.state_dict[name], value) for name, value in model.backbone.state_dict().items())
    exported = dict(state_dict=pretrained.state_dict, meta=dict(gaia_ssl=dict(arch=str(pretrained.arch))))
    assert read_pretrained(save(exported, tmp_path / 'backbone.pth')).arch == pretrained.arch


def test_safetensors_and_half_precision(tmp_path, monkeypatch):
    net = {name: value.half() if value.dim() == 4 else value for name, value in layouts.resnet().state_dict().items()}
    save_file(net, tmp_path / 'net.safetensors')
    monkeypatch.setenv('HOME', str(tmp_path))
    pretrained = read_pretrained('~/net.safetensors')
    assert pretrained.state_dict['conv1.weight'].dtype == torch.float32
    assert all(torch.equal(pretrained.state_dict[name], value.float()) for name, value in net.items() if value.dim() == 4)
    whole = (tmp_path / 'net.safetensors').read_bytes()
    (tmp_path / 'short.safetensors').write_bytes(whole[:len(whole) // 2])
    with pytest.raises(UserError, match='short.safetensors: cut short'):
        read_pretrained(tmp_path / 'short.safetensors')
    with pytest.raises(UserError, match='no such checkpoint'):
        read_pretrained(tmp_path / 'nothing.safetensors')


@pytest.mark.skipif(not os.path.isfile(THIN), reason='needs GAIA_SSL_TEST_DATA')
def test_the_real_thin_resnet():
    assert str(read_pretrained(THIN).arch) == '64-32x3-64x4-128x6-256x3'


def test_addresses(tmp_path, monkeypatch):
    net = layouts.resnet().state_dict()
    save(net, tmp_path / 'net.pth')
    monkeypatch.setattr(torch.hub, '_hub_dir', str(tmp_path / 'hub'))
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path))
    monkeypatch.setattr(handler.func, 'log_message', lambda *_: None)
    with http.server.ThreadingHTTPServer(('127.0.0.1', 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f'http://127.0.0.1:{server.server_port}/net.pth'
        pretrained = read_pretrained(address)
        with pytest.raises(UserError, match='cannot be fetched'):
            read_pretrained(address.replace('net', 'other'))
        server.shutdown()
    assert pretrained.path == address and torch.equal(pretrained.state_dict['conv1.weight'], net['conv1.weight'])
    assert read_pretrained(address).arch == pretrained.arch, 'fetched once'


def test_a_file_by_its_address(tmp_path):
    net = layouts.resnet().state_dict()
    path = tmp_path / 'a name #1.pth'
    save(net, path)
    assert '%20' in path.as_uri()
    assert torch.equal(read_pretrained(path.as_uri()).state_dict['conv1.weight'], net['conv1.weight'])
    with pytest.raises(UserError, match='no such checkpoint file'):
        read_pretrained((tmp_path / 'other.pth').as_uri())


def test_torchvisions_names(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, '_hub_dir', str(tmp_path))
    (tmp_path / 'checkpoints').mkdir()
    url = torchvision.models.ResNet50_Weights.IMAGENET1K_V1.url
    save(layouts.resnet().state_dict(), tmp_path / 'checkpoints' / url.rpartition('/')[2])  # where torch would have put it
    assert str(read_pretrained('torchvision://resnet50').arch) == layouts.ARCH
    with pytest.raises(UserError, match='no such weights'):
        read_pretrained('torchvision://resnet51')


def with_block(make) -> torch.nn.Module:
    """A ResNet of torchvision with one block a stage."""
    return torchvision.models.resnet.ResNet(make.pop('block', torchvision.models.resnet.Bottleneck), [1, 1, 1, 1], **make)


@pytest.mark.parametrize('make, message', [
    (dict(block=torchvision.models.resnet.BasicBlock), 'a ResNet of basic blocks'),
    (dict(groups=32, width_per_group=4), 'are grouped (ResNeXt)'),
    (dict(width_per_group=128), 'do not put out 4 times the width'),
    (dict(norm_layer=functools.partial(torch.nn.GroupNorm, 32)), 'its norms keep no running statistics'),
])
def test_torchvisions_other_networks(make, message, tmp_path):
    assert message in refusal(with_block(make).state_dict(), tmp_path)


@pytest.mark.parametrize('kind, message, settings', [
    ('ResNetV1c', 'deep stem', {}), ('ResNetV1d', 'deep stem', {}), ('SEResNet', 'have no place', {}),
    ('Res2Net', 'have no place', dict(scales=4, base_width=26, deep_stem=False, avg_down=False))])
def test_mmpretrains_other_networks(kind, message, settings, tmp_path):
    net = getattr(mmpretrain.models, kind)(depth=50, **(settings or dict(stem_channels=8, base_channels=8)))
    line = refusal(dict(state_dict=layouts.prefixed('backbone.', net.state_dict())), tmp_path)
    assert message in line and 'backbone.' in line


def test_timms_networks(tmp_path):
    resnet = pytest.importorskip('timm.models.resnet')
    small = dict(block=resnet.Bottleneck, layers=(1, 1, 1, 1), channels=(8, 16, 32, 64))
    pretrained = read_pretrained(save(resnet.ResNet(**small).state_dict(), tmp_path / 'net.pth'))
    assert str(pretrained.arch) == '64-8x1-16x1-32x1-64x1'
    deep = resnet.ResNet(**small, stem_type='deep', stem_width=8, avg_down=True)  # resnet50d
    assert 'deep stem' in refusal(deep.state_dict(), tmp_path)
    assert 'pools its shortcuts' in refusal(resnet.ResNet(**small, avg_down=True).state_dict(), tmp_path)
    assert 'have no place' in refusal(resnet.ResNet(**small, block_args=dict(attn_layer='se')).state_dict(), tmp_path)
    assert 'no ResNet' in refusal(pytest.importorskip('timm').create_model('mobilenetv3_small_050').state_dict(), tmp_path)


def test_a_vision_transformer(tmp_path):
    net = torchvision.models.VisionTransformer(32, 16, 1, 2, 8, 16)
    assert 'vision transformer' in refusal(net.state_dict(), tmp_path)
    net = mmpretrain.models.VisionTransformer(dict(embed_dims=8, num_layers=1, num_heads=2, feedforward_channels=16))
    assert 'vision transformer' in refusal(dict(state_dict=layouts.prefixed('backbone.', net.state_dict())), tmp_path)


def test_keys_too_few_and_too_many(tmp_path):
    net = layouts.resnet().state_dict()
    line = refusal({name: value for name, value in net.items() if not name.startswith(('layer4.', 'layer2.1.bn2'))}, tmp_path)
    assert 'tensors of the backbone are missing (layer4.0.conv1.weight)' in line
    line = refusal({name: value for name, value in net.items() if name != 'layer2.1.bn2.bias'}, tmp_path)
    assert '1 tensors of the backbone are missing (layer2.1.bn2.bias)' in line
    line = refusal(dict(state_dict=layouts.prefixed('backbone.', {**net, 'layer2.1.conv2.bias': torch.ones(16)})), tmp_path)
    assert '1 tensors of its backbone have no place' in line and '(backbone.layer2.1.conv2.bias)' in line
    assert 'layer2.1.conv1.weight is (8, 64, 1, 1), not (16, 64, 1, 1)' in refusal(
        {**net, 'layer2.1.conv1.weight': torch.ones(8, 64, 1, 1)}, tmp_path)
    assert 'layer2.1.bn2.bias holds numbers that are not finite' in refusal(
        {**net, 'layer2.1.bn2.bias': torch.full((16, ), float('nan'))}, tmp_path)
    assert 'conv1.weight is of type int8' in refusal({**net, 'conv1.weight': net['conv1.weight'].to(torch.int8)}, tmp_path)
    for shape in ((), (8, ), (8, 3), (8, 3, 5, 5)):
        assert f'weights of shape {shape}; the supernet' in refusal({**net, 'conv1.weight': torch.ones(shape)}, tmp_path)
        assert f'layer1.0.conv1.weight is {shape}, not (' in refusal(
            {**net, 'layer1.0.conv1.weight': torch.ones(shape)}, tmp_path)
    assert 'none of its 0 tensors' in refusal({}, tmp_path)


def test_several_networks(tmp_path):
    left, right = (layouts.resnet(seed).state_dict() for seed in (0, 1))
    line = refusal(dict(**layouts.prefixed('left.', left), **layouts.prefixed('right.', right)), tmp_path)
    assert 'holds several networks (left, right)' in line


class Exploit:

    def __init__(self, path) -> None:
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path), )


def test_nothing_in_a_file_runs(tmp_path):
    net = layouts.resnet().state_dict()
    assert 'refused' in refusal(dict(state_dict=net, more=Exploit(tmp_path / 'executed')), tmp_path)
    assert 'refused' in refusal(dict(state_dict=net, args=argparse.Namespace(more=Exploit(tmp_path / 'executed'))), tmp_path)
    path = tmp_path / 'R-50.pkl'
    path.write_bytes(pickle.dumps(dict(model={name: value.numpy() for name, value in net.items()})))
    with pytest.raises(UserError, match='which only running code can read'):
        read_pretrained(path)
    path.rename(tmp_path / 'R-50.pth')
    with pytest.raises(UserError, match='refused|cut short'):
        read_pretrained(tmp_path / 'R-50.pth')
    assert not (tmp_path / 'executed').exists()


def test_a_file_cut_short(tmp_path):
    path = save(layouts.resnet().state_dict(), tmp_path / 'net.pth')
    whole = (tmp_path / 'net.pth').read_bytes()
    (tmp_path / 'net.pth').write_bytes(whole[:len(whole) // 2])
    with pytest.raises(UserError, match='cut short'):
        read_pretrained(path)
