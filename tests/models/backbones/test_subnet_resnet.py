import pickle

import pytest
import torch
from mmengine.model import revert_sync_batchnorm
from torch import nn

from gaia_ssl import Arch
from gaia_ssl.checkpoint import save_checkpoint
from gaia_ssl.errors import UserError
from gaia_ssl.models import SubnetResNet

RESNET50 = '64-64x3-128x4-256x6-512x3'
TINY = '4-4x1-8x2-8x2-12x1'


def randomise_norms(net: nn.Module) -> nn.Module:
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor in module.state_dict().values():
                if tensor.is_floating_point():
                    tensor.copy_(torch.rand(tensor.shape) + 0.5)
    return net


def test_keys_and_shapes_are_torchvisions():
    models = pytest.importorskip('torchvision.models')
    with torch.device('meta'):
        reference, net = models.resnet50(), SubnetResNet(RESNET50)
    expected = {name: value.shape for name, value in reference.state_dict().items() if not name.startswith('fc.')}
    assert {name: value.shape for name, value in net.state_dict().items()} == expected


@pytest.fixture(scope='module')
def resnet50_state() -> dict:
    torch.manual_seed(0)
    return randomise_norms(SubnetResNet(RESNET50)).state_dict()


@pytest.mark.parametrize('settings', [
    dict(),
    dict(out_indices=(1, 3)),
    dict(out_indices=(0, )),
    dict(strides=(1, 2, 1, 1), dilations=(1, 1, 2, 4)),
    dict(strides=(1, 2, 1, 1), dilations=(1, 1, 2, 4), contract_dilation=True),
    dict(strides=(1, 2, 2, 1), dilations=(1, 1, 1, 2), contract_dilation=True, out_indices=(2, 3)),
    dict(frozen_stages=0),
    dict(frozen_stages=2),
    dict(frozen_stages=4),
    dict(norm_eval=True),
    dict(norm_eval=True, frozen_stages=1),
], ids=str)
def test_is_mmsegs_resnet(resnet50_state, settings):
    """The same weights give the same outputs in both modes, and the same layers learn."""
    mmseg = pytest.importorskip('mmseg.models')
    with torch.device('meta'):
        reference, net = mmseg.ResNet(depth=50, **settings), SubnetResNet(RESNET50, **settings)
    for model in (reference, net):
        model.to_empty(device='cpu').load_state_dict(resnet50_state)
    x = torch.randn(2, 3, 48, 64)
    for training in (True, False):
        reference.train(training), net.train(training)
        assert {n for n, p in net.named_parameters() if p.requires_grad} == {
            n for n, p in reference.named_parameters() if p.requires_grad
        }
        assert {n for n, m in net.named_modules() if isinstance(m, nn.BatchNorm2d) and m.training} == {
            n for n, m in reference.named_modules() if isinstance(m, nn.BatchNorm2d) and m.training
        }
        with torch.no_grad():
            outs, expected = net(x), reference(x)
        assert len(outs) == len(expected)
        for out, feature in zip(outs, expected, strict=True):
            torch.testing.assert_close(out, feature, rtol=1e-5, atol=1e-5 * float(feature.abs().max()))


EIGHTH = '8-8x3-16x4-32x6-64x3'  # of ResNet-50's width: base_channels=8


@pytest.mark.parametrize('settings', [
    dict(),
    dict(out_indices=(1, 2)),
    dict(num_stages=3, out_indices=(2, )),
    dict(num_stages=1, out_indices=(0, ), frozen_stages=1),
    dict(strides=(1, 2, 1, 1), dilations=(1, 1, 2, 4)),
    dict(strides=(1, 1, 2, 1), dilations=(1, 2, 1, 3), out_indices=(0, 3)),
    dict(frozen_stages=0),
    dict(frozen_stages=1, norm_eval=True),
    dict(frozen_stages=3, norm_cfg=dict(type='SyncBN', requires_grad=True)),
    dict(norm_eval=True, norm_cfg=dict(type='SyncBN', requires_grad=True)),
    dict(norm_cfg=dict(type='BN', requires_grad=False), norm_eval=True),
], ids=str)
def test_is_mmdets_resnet(settings):
    """As the test above, and the same gradients, with mmdet's; on one process mmengine puts batch norm in SyncBN's place."""
    mmdet = pytest.importorskip('mmdet.models')
    stages = settings.get('num_stages', 4)
    own = {name: value[:stages] if name in ('strides', 'dilations') else value for name, value in settings.items()}
    reference = revert_sync_batchnorm(mmdet.ResNet(depth=50, base_channels=8, **{
        'norm_eval': False, 'strides': (1, 2, 2, 2)[:stages], 'dilations': (1, 1, 1, 1)[:stages], **own}))
    net = revert_sync_batchnorm(SubnetResNet(EIGHTH, **settings))
    randomise_norms(net)
    reference.load_state_dict(net.state_dict())
    x = torch.randn(2, 3, 48, 64)
    for model in (reference, net):
        model.train()
        out = model(x)
        assert len(out) == len(settings.get('out_indices', range(4)))
        model.outs = [value.detach() for value in out]
        if any(value.requires_grad for value in out):
            sum(value.square().mean() for value in out).backward()
    for a, b in zip(net.outs, reference.outs, strict=True):
        torch.testing.assert_close(a, b)
    grads = {name: value.grad for name, value in reference.named_parameters()}
    for name, value in net.named_parameters():
        assert (value.grad is None) is (grads[name] is None), name
        if value.grad is not None:
            torch.testing.assert_close(value.grad, grads[name], rtol=1e-3, atol=1e-5)
    skipped = tuple(f'layer{stage + 2}' for stage in range(max(net.out_indices), 3))  # no output needs them
    for name, value in reference.state_dict().items():  # running statistics moved alike, or not at all
        if not name.startswith(skipped):
            torch.testing.assert_close(net.state_dict()[name], value)


def test_checkpointing_gives_the_same_gradients():
    plain, frugal = SubnetResNet(TINY), SubnetResNet(TINY, with_cp=True)
    frugal.load_state_dict(plain.state_dict())
    runs = []
    frugal.layer3[0].register_forward_pre_hook(lambda *_: runs.append(1))
    x = torch.randn(2, 3, 64, 64)
    for net in (plain, frugal):
        sum(out.square().mean() for out in net(x)).backward()
    assert len(runs) == 2  # once forward, once for the backward pass
    for (name, one), other in zip(plain.named_parameters(), frugal.parameters(), strict=True):
        assert torch.equal(one.grad, other.grad), name


def test_three_stages_take_three_strides_as_in_mmdets_c4_configs():
    mmdet = pytest.importorskip('mmdet.models.backbones')
    settings = dict(num_stages=3, strides=(1, 2, 2), dilations=(1, 1, 1), out_indices=(2, ))
    images = torch.randn(1, 3, 64, 64)
    [theirs] = mmdet.ResNet(50, base_channels=8, **settings)(images)
    [ours] = SubnetResNet('8-8x3-16x4-32x6-64x3', **settings)(images)
    assert ours.shape == theirs.shape


def test_stem_of_small_images_keeps_the_size():
    outs = SubnetResNet(TINY, stem_kernel=3)(torch.randn(2, 3, 32, 24))
    assert [tuple(out.shape) for out in outs] == [(2, 16, 32, 24), (2, 32, 16, 12), (2, 32, 8, 6), (2, 48, 4, 3)]


@pytest.mark.parametrize('settings, match', [
    (dict(arch='resnet50'), 'is not an arch'),
    (dict(stem_kernel=5), 'stem_kernel is 5'),
    (dict(strides=(1, 2)), 'must have 4 entries'),
    (dict(num_stages=3, strides=(1, 2)), 'must have 3 entries'),
    (dict(dilations=(1, 1, 1, 1, 1)), 'must have 4 entries'),
    (dict(out_indices=()), 'out_indices'),
    (dict(out_indices=(1, 4)), 'out_indices'),
    (dict(frozen_stages=5), 'frozen_stages is 5'),
    (dict(frozen_stages=-2), 'frozen_stages is -2'),
    (dict(num_stages=5), 'num_stages is 5'),
    (dict(num_stages=3, out_indices=(3, )), r'out_indices is \(3,\); choose from 0 \(C2\), 1 \(C3\), 2 \(C4\)$'),
    (dict(num_stages=2, frozen_stages=3), 'frozen_stages is 3; .* to 2'),
])
def test_bad_settings_are_user_errors(settings, match):
    with pytest.raises(UserError, match=match):
        SubnetResNet(**{'arch': TINY, **settings})


def write(path, arch: str = TINY, meta: dict | None = None, **changes) -> str:
    """An exported backbone, with ``changes`` in its state (None takes the key out)."""
    state = {**randomise_norms(SubnetResNet(arch)).state_dict(), **changes}
    state = {name: value for name, value in state.items() if value is not None}
    save_checkpoint(dict(state_dict=state, meta=dict(gaia_ssl=dict(arch=arch)) if meta is None else meta), path)
    return str(path)


def pretrained(path: str, **kwargs) -> SubnetResNet:
    net = SubnetResNet(TINY, init_cfg=dict(type='Pretrained', checkpoint=path), **kwargs)
    net.init_weights()
    return net


def test_pretrained_loads_an_exported_backbone(tmp_path):
    path = write(tmp_path / 'backbone.pth')
    state = torch.load(path, weights_only=True)['state_dict']
    for net in (pretrained(path), pretrained(path, zero_init_residual=True, frozen_stages=2)):
        assert all(torch.equal(value, state[name]) for name, value in net.state_dict().items())


class Bomb:
    """What runs when it is unpickled writes a file."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return open, (self.path, 'w')


def test_pretrained_is_strict(tmp_path):
    path = tmp_path / 'backbone.pth'
    bad = [
        (write(tmp_path / 'missing.pth', **{'layer1.0.conv1.weight': None}),
         r'stem_kernel=7\): .*Missing key.*layer1\.0\.conv1\.weight'),
        (write(tmp_path / 'extra.pth', **{'fc.weight': torch.zeros(1)}), r'Unexpected key.*fc\.weight'),
        (write(tmp_path / 'shape.pth', **{'conv1.weight': torch.zeros(4, 3, 3, 3)}), r'size mismatch for conv1\.w'),
        (write(tmp_path / 'arch.pth', arch='4-4x1-8x2-8x1-12x1'), 'holds the backbone 4-4x1-8x2-8x1-12x1, but'),
        (write(tmp_path / 'supernet.pth', meta=dict(gaia_ssl=dict(space={}))), 'not an exported backbone'),
        (write(tmp_path / 'foreign.pth', meta=dict(epoch=1)), 'not an exported backbone'),
        (write(tmp_path / 'none.pth', meta=dict(gaia_ssl=None)), 'not an exported backbone'),
        (str(tmp_path / 'absent.pth'), 'no such checkpoint'),
    ]
    content = (tmp_path / 'arch.pth').read_bytes()
    path.write_bytes(content[:len(content) // 2])
    bad.append((str(path), 'cut short'))
    bomb = tmp_path / 'bomb.pth'
    bomb.write_bytes(pickle.dumps(dict(state_dict={}, meta=Bomb(tmp_path / 'ran'))))
    bad.append((str(bomb), 'refused'))
    for file, match in bad:
        with pytest.raises(UserError, match=match) as info:
            pretrained(file)
        assert file in str(info.value) and '\n' not in str(info.value)
    assert not (tmp_path / 'ran').exists()


def test_weights_that_a_toolbox_trained(tmp_path, monkeypatch):
    """Behind the prefix that mmengine's init_cfg gives, in a file of the home folder or one by its address."""
    monkeypatch.setenv('HOME', str(tmp_path))
    trained = randomise_norms(SubnetResNet(TINY))
    state = {f'backbone.{name}': value for name, value in trained.state_dict().items()} | {'head.fc.weight': torch.ones(2, 2)}
    torch.save(dict(meta={}, state_dict=state), tmp_path / 'epoch_1.pth')
    init_cfg = dict(type='Pretrained', checkpoint='~/epoch_1.pth', prefix='backbone.')
    for file in (init_cfg['checkpoint'], (tmp_path / 'epoch_1.pth').as_uri()):
        net = SubnetResNet(TINY, init_cfg={**init_cfg, 'checkpoint': file})
        net.init_weights()
        assert all(torch.equal(value, trained.state_dict()[name]) for name, value in net.state_dict().items())
    with pytest.raises(UserError, match=r"not an exported backbone.*prefix='backbone\.'"):
        SubnetResNet(TINY, init_cfg=dict(type='Pretrained', checkpoint='~/epoch_1.pth')).init_weights()
    for arch, prefix, match in (('4-4x1-8x2-8x1-12x1', 'backbone', 'does not match'), (TINY, 'neck.', 'has no key that begins'),
                                (TINY, 'back', 'has no key that begins')):
        with pytest.raises(UserError, match=match):
            SubnetResNet(arch, init_cfg={**init_cfg, 'prefix': prefix}).init_weights()
    with pytest.raises(UserError, match='cannot be fetched'):
        SubnetResNet(TINY, init_cfg=dict(type='Pretrained', checkpoint='http://127.0.0.1:9/backbone.pth')).init_weights()


def test_arch_can_be_a_value_or_a_text():
    assert SubnetResNet(Arch.parse(TINY)).arch == SubnetResNet(TINY).arch
