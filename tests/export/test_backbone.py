"""The module that an export brings along, where nothing of OpenMMLab and nothing of gaia_ssl can be imported."""

import subprocess
import sys
import textwrap

import torch
from torch import nn

from gaia_ssl import Arch
from gaia_ssl.export import backbone, export_subnet
from gaia_ssl.models import SubnetResNet
from tests import tiny

ARCH = Arch.parse('5-6x2-7x1-9x1-13x1')
PROGRAM = textwrap.dedent("""
    import sys

    class Blocker:
        def find_spec(self, name, path=None, target=None):
            if name.startswith(('gaia_ssl', 'mmengine', 'mmcv', 'mmpretrain', 'mmdet', 'mmseg')):
                raise ImportError(f'{name} is not to be had')

    sys.meta_path.insert(0, Blocker())
    folder, source, target = sys.argv[1:]
    sys.path.insert(0, folder)
    import torch
    from backbone import load
    from torchvision.models.detection.backbone_utils import BackboneWithFPN

    torch.set_num_threads(1)
    given = torch.load(source, weights_only=True)
    net = load()
    images = net.normalise(given / 255)
    with torch.no_grad():
        result = dict(images=images, maps=net.maps(images), pooled=net(images), order=net.order, channels=net.channels,
                      safetensors=load(folder + '/backbone.safetensors')(images))
    fpn = BackboneWithFPN(net, {f'layer{stage}': str(stage) for stage in (1, 2, 3, 4)}, net.channels, 16)
    result['fpn'] = [tuple(level.shape) for level in fpn(images).values()]
    classifier = torch.nn.Sequential(load(), torch.nn.Linear(net.num_features, 2)).train()
    classifier(images).square().sum().backward()
    torch.optim.SGD(classifier.parameters(), lr=0.1).step()
    torch.save(classifier.state_dict(), folder + '/tuned.pth')
    result['modules'] = [name for name in ('gaia_ssl', 'mmengine', 'mmcv') if name in sys.modules]
    torch.save(result, target)
""")


def test_without_openmmlab(tmp_path):
    checkpoint = tiny.save_supernet(tmp_path / 'supernet.pth', stem_kernel=7)
    path = export_subnet(str(checkpoint), ARCH, str(tiny.photos(tmp_path / 'images', 5)), tmp_path / 'out', resolution=64,
                         report=lambda line: None)
    with open(backbone.__file__, encoding='utf-8') as file:
        assert (path.parent / 'backbone.py').read_text(encoding='utf-8') == file.read(), 'nothing of the data is code'
    pixels = torch.randint(256, (2, 3, 64, 64)).float()
    torch.save(pixels, tmp_path / 'pixels.pt')
    done = subprocess.run([sys.executable, '-I', '-c', PROGRAM, path.parent, tmp_path / 'pixels.pt', tmp_path / 'result.pt'],
                          capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    result = torch.load(tmp_path / 'result.pt', weights_only=True)
    assert result['modules'] == [] and result['order'] == 'RGB' and result['channels'] == list(ARCH.out_channels)

    mean, std = (torch.tensor(tiny.PREPROCESSOR[name]).view(-1, 1, 1) for name in ('mean', 'std'))
    torch.testing.assert_close(result['images'], (pixels - mean) / std)
    net = SubnetResNet(ARCH, init_cfg=dict(type='Pretrained', checkpoint=str(path)))
    net.init_weights()
    with torch.no_grad():
        expected = net.eval()(result['images'])
    for one, other in zip(result['maps'], expected, strict=True):
        assert torch.equal(one, other)
    torch.testing.assert_close(result['pooled'], nn.functional.adaptive_avg_pool2d(expected[-1], 1).flatten(1))
    assert torch.equal(result['safetensors'], result['pooled'])
    assert result['fpn'][0] == (2, 16, *expected[0].shape[2:])

    tuned = torch.load(path.with_name('tuned.pth'), weights_only=True)
    back = SubnetResNet(ARCH, init_cfg=dict(type='Pretrained', checkpoint=str(path.with_name('tuned.pth')), prefix='0.'))
    back.init_weights()
    assert all(torch.equal(value, tuned[f'0.{name}']) for name, value in back.state_dict().items())
    assert not torch.equal(back.conv1.weight, net.conv1.weight)


@torch.no_grad()
def test_the_stem_for_small_images(tmp_path):
    net = SubnetResNet(ARCH, stem_kernel=3).eval()
    meta = dict(arch=str(ARCH), stem_kernel=3, resolution=32, mean=[1., 2., 3.], std=[4., 5., 6.], to_rgb=True)
    torch.save(dict(state_dict=net.state_dict(), meta=dict(gaia_ssl=meta)), tmp_path / 'backbone.pth')
    images = tiny.images(2)
    again = backbone.load(tmp_path / 'backbone.pth').maps(images)
    assert all(torch.equal(one, other) for one, other in zip(again, net(images), strict=True))


def test_channels_that_are_turned_round(tmp_path):
    """Of a supernet that was trained on BGR: images are given as RGB all the same."""
    meta = dict(arch=str(ARCH), stem_kernel=3, resolution=32, mean=[1., 2., 3.], std=[4., 5., 6.], to_rgb=False)
    net = backbone.Backbone(meta)
    assert net.order == 'BGR'
    images = torch.rand(2, 3, 4, 4)
    expected = (images[:, [2, 1, 0]] * 255 - torch.tensor(meta['mean']).view(3, 1, 1)) / torch.tensor(meta['std']).view(3, 1, 1)
    torch.testing.assert_close(net.normalise(images), expected)
