import os

import pytest
import torch
import torchvision
from scipy.optimize import linear_sum_assignment
from torch import Tensor, nn

from gaia_ssl import Arch, ArchSpace
from gaia_ssl.errors import UserError
from gaia_ssl.models import DynamicResNet
from gaia_ssl.models.algorithms import SupernetMoCo
from gaia_ssl.models.pretrained_checkpoint import read_pretrained
from gaia_ssl.registry import MODELS
from tests import tiny
from tests.models import layouts
from tests.models.layouts import ARCH, LAYOUTS, save

THIN = os.path.join(os.environ.get('GAIA_SSL_TEST_DATA', 'nowhere'), 'pretrained', 'thin-resnet50.safetensors')

LARGER = '12-12x4-16x5-40x7-72x4'
"""A max arch above :data:`ARCH`, except in one width."""


def started(path: str, space: str | ArchSpace = ARCH) -> DynamicResNet:
    net = DynamicResNet(space, init_cfg=dict(type='Pretrained', checkpoint=path))
    net.init_weights()
    return net


def check_same(net: DynamicResNet, oracle: nn.Module, arch: str, size: int = 48) -> None:
    """C2 to C5, with running and with batch statistics, apart from the order of the channels."""
    net.set_arch(Arch.parse(arch))
    images = tiny.images(3, size=size).double()  # in float32 a batch norm over a dozen values differs by more than 1e-5
    net.double(), oracle.double()
    for mode in (False, True):
        net.train(mode), oracle.train(mode)
        with torch.no_grad():
            for mine, theirs in zip(net(images), oracle(images), strict=True):
                mine, theirs = (part[:, :theirs.size(1)].transpose(0, 1).flatten(1) for part in (mine, theirs))
                rows, columns = linear_sum_assignment(torch.cdist(mine.double(), theirs.double()))
                assert (mine[rows] - theirs[columns]).abs().max() < 1e-8 * theirs.abs().max()


@pytest.mark.parametrize('layout', LAYOUTS)
def test_the_function_is_kept(layout, tmp_path):
    oracle = layouts.resnet(0)
    path = save(LAYOUTS[layout](oracle.state_dict(), layouts.resnet(1).state_dict()), tmp_path / 'net.pth')
    check_same(started(path), oracle, ARCH)


class Stages(nn.Module):
    """C2 to C5 of a network with torchvision's names."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> list[Tensor]:
        net, outs = self.net, []
        x = net.maxpool(net.bn1(net.conv1(x)).relu())
        for layer in (net.layer1, net.layer2, net.layer3, net.layer4):
            outs.append(x := layer(x))
        return outs


def test_torchvisions_own_resnet(tmp_path):
    oracle = layouts.randomise(torchvision.models.resnet.ResNet(torchvision.models.resnet.Bottleneck, [1, 2, 1, 1]))
    path = save(oracle.state_dict(), tmp_path / 'net.pth')
    check_same(started(path, '64-64x1-128x2-256x1-512x1'), Stages(oracle), '64-64x1-128x2-256x1-512x1')


def test_timms_own_resnet(tmp_path):
    resnet = pytest.importorskip('timm.models.resnet')
    oracle = layouts.randomise(resnet.ResNet(resnet.Bottleneck, (1, 2, 1, 1), channels=(8, 16, 32, 64)))
    path = save(oracle.state_dict(), tmp_path / 'net.pth')
    check_same(started(path, '64-8x1-16x2-32x1-64x1'), Stages(oracle), '64-8x1-16x2-32x1-64x1')


def test_one_of_our_own_supernets(tmp_path):
    model = tiny.supernet()
    path = tiny.save_supernet(tmp_path / 'net.pth')
    net = DynamicResNet(tiny.SPACE, stem_kernel=3, init_cfg=dict(type='Pretrained', checkpoint=str(path)))
    net.init_weights()
    model.backbone.out_indices = net.out_indices
    check_same(net, model.backbone, str(tiny.SPACE.max), size=16)


@pytest.mark.skipif(not os.path.isfile(THIN), reason='needs GAIA_SSL_TEST_DATA')
def test_the_real_thin_resnet():
    pretrained = read_pretrained(THIN)
    oracle = torchvision.models.resnet.ResNet(torchvision.models.resnet.Bottleneck, [3, 4, 6, 3], width_per_group=32)
    for stage, (width, layer) in enumerate(zip(pretrained.arch.widths, (oracle.layer1, oracle.layer2, oracle.layer3,
                                                                       oracle.layer4), strict=True)):
        for block in layer:  # torchvision's stages put out 256 to 2048 channels
            block.conv3, block.bn3 = nn.Conv2d(width, 4 * width, 1, bias=False), nn.BatchNorm2d(4 * width)
        into = 4 * pretrained.arch.widths[stage - 1] if stage else 64
        layer[0].conv1 = nn.Conv2d(into, width, 1, bias=False)
        layer[0].downsample = nn.Sequential(nn.Conv2d(into, 4 * width, 1, stride=min(stage, 1) + 1, bias=False),
                                            nn.BatchNorm2d(4 * width))
        for block in layer[1:]:
            block.conv1 = nn.Conv2d(4 * width, width, 1, bias=False)
    oracle.fc = nn.Identity()
    oracle.load_state_dict(pretrained.state_dict)
    check_same(started(THIN, str(pretrained.arch)), Stages(oracle), str(pretrained.arch), size=64)


def test_a_larger_supernet_computes_the_same_at_the_sources_arch_and_at_max(tmp_path):
    oracle = layouts.resnet()
    net = started(save(oracle.state_dict(), tmp_path / 'net.pth'), LARGER)
    for arch in (ARCH, LARGER, '8-12x3-16x5-32x6-64x4', '12-8x4-16x4-40x6-64x3'):
        check_same(net, oracle, arch)


def test_the_new_parts_of_a_larger_supernet_learn(tmp_path):
    """After two steps at max, every output channel of every layer, and every new input of it, has a gradient."""
    net = started(save(layouts.resnet().state_dict(), tmp_path / 'net.pth'), LARGER)
    net.train()
    source = read_pretrained(str(tmp_path / 'net.pth')).state_dict
    optimizer = torch.optim.SGD(net.parameters(), lr=0.05)
    target = torch.randn(8, Arch.parse(LARGER).out_channels[-1])
    for _ in range(3):
        optimizer.zero_grad()
        nn.functional.mse_loss(net(tiny.images(8, size=64))[-1].mean((2, 3)), target).backward()
        optimizer.step()
    new = 0
    for name, value in net.named_parameters():
        if name not in source or source[name].shape != value.shape:
            grad = value.grad.flatten(1).abs().sum(1) if value.dim() == 4 else value.grad.abs()
            first = source[name].size(0) if name in source else 0
            assert (grad[first:] > 0).float().mean() > 0.5 if first < len(grad) else True, name  # a ReLU may rest
            if value.dim() == 4 and name in source and source[name].size(1) < value.size(1):
                assert (value.grad[:first, source[name].size(1):].abs().sum((0, 2, 3)) > 0).float().mean() > 0.5, name
            new += 1
    assert new > 150


def test_the_teacher_starts_from_it_too(tmp_path):
    path = save(layouts.resnet().state_dict(), tmp_path / 'net.pth')
    model = MODELS.build(dict(
        type='gaia_ssl.SupernetMoCo', queue_len=8, feat_dim=8, neck=tiny.NECK, head=tiny.HEAD,
        data_preprocessor=tiny.PREPROCESSOR,
        backbone=dict(type='gaia_ssl.DynamicResNet', space=LARGER, init_cfg=dict(type='Pretrained', checkpoint=path))))
    model.init_weights()
    assert isinstance(model, SupernetMoCo)
    assert tiny.equal(model.teacher['backbone'].state_dict(), model.backbone.state_dict())
    model.backbone.out_indices = (0, 1, 2, 3)
    check_same(model.backbone, layouts.resnet(), ARCH)


def test_spaces_by_their_arch(tmp_path):
    path = save(layouts.resnet().state_dict(), tmp_path / 'net.pth')
    auto = DynamicResNet('auto', init_cfg=dict(type='Pretrained', checkpoint=path))
    assert auto.space == DynamicResNet(ARCH).space == ArchSpace.inside(ARCH)
    with pytest.raises(UserError, match='say --start FILE'):
        DynamicResNet('auto')


def test_channels_in_the_sources_order(tmp_path):
    source = layouts.resnet().state_dict()
    init_cfg = dict(type='Pretrained', checkpoint=save(source, tmp_path / 'net.pth'))
    net = DynamicResNet(ARCH, sort_pretrained=False, init_cfg=init_cfg)
    net.init_weights()
    assert tiny.equal(dict(net.state_dict()), dict(source))
    net = DynamicResNet(ARCH, init_cfg=init_cfg)
    net.init_weights()
    assert not tiny.equal(dict(net.state_dict()), dict(source))


def test_images_of_other_channels(tmp_path):
    """On a grey image, the features are those of the source on three channels of it, and so are those on seven."""
    oracle = layouts.resnet()
    oracle.eval()
    init_cfg = dict(type='Pretrained', checkpoint=save(oracle.state_dict(), tmp_path / 'net.pth'))
    grey = tiny.images(2, size=48)[:, :1]
    nets = {}
    for channels in (1, 6, 7):
        nets[channels] = DynamicResNet(ARCH, in_channels=channels, sort_pretrained=False, init_cfg=init_cfg).eval()
        nets[channels].init_weights()
    with torch.no_grad():
        expected = oracle.conv1(grey.expand(-1, 3, -1, -1))
        for channels in (1, 6):  # of seven, the first comes once more than the others
            seen = nets[channels].conv1(grey.expand(-1, channels, -1, -1))
            torch.testing.assert_close(seen, expected, rtol=1e-4, atol=1e-4)
    weight = oracle.conv1.weight
    torch.testing.assert_close(nets[7].conv1.weight, torch.stack([weight[:, index % 3] for index in range(7)], 1) * 3 / 7)


@pytest.mark.parametrize('space, kernel, message', [
    ('8-8x3-16x4-32x5-64x3', 7, 'is larger than the supernet (8-8x3-16x4-32x5-64x3) in some dimension; say --cfg-options '
     f'model.backbone.space={ARCH}'),
    ('4-8x3-16x4-32x6-64x3', 7, 'is larger'),
    (ARCH, 3, 'its first convolution is 7x7, that of the config 3x3')])
def test_one_that_does_not_fit(space, kernel, message, tmp_path):
    path = save(layouts.resnet().state_dict(), tmp_path / 'net.pth')
    net = DynamicResNet(space, stem_kernel=kernel, init_cfg=dict(type='Pretrained', checkpoint=path))
    with pytest.raises(UserError) as info:
        net.init_weights()
    assert message in str(info.value) and str(info.value).startswith(f'{path}: ')
