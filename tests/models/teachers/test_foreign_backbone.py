import re

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torchvision.models import ResNet
from torchvision.models.resnet import Bottleneck

from gaia_ssl.errors import UserError
from gaia_ssl.models.teachers.foreign_backbone import build_foreign_backbone

VIT = dict(type='mmpretrain.VisionTransformer', patch_size=4, img_size=16, layer_scale_init_value=1e-5,
           arch=dict(embed_dims=32, num_layers=2, num_heads=2, feedforward_channels=48))


@pytest.fixture(scope='module')
def resnet() -> ResNet:
    torch.manual_seed(0)
    return ResNet(Bottleneck, [3, 4, 6, 3]).eval()


class PlainViT(nn.Module):
    """A vision transformer with the names of DINOv2's release, written down plainly."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        shapes = {'cls_token': (1, 1, 32), 'pos_embed': (1, 17, 32), 'mask_token': (1, 32), 'norm.weight': (32, ),
                  'norm.bias': (32, ), 'patch_embed.proj.weight': (32, 3, 4, 4), 'patch_embed.proj.bias': (32, )}
        for block in ('blocks.0.', 'blocks.1.'):
            for name in ('norm1', 'norm2'):
                shapes |= {f'{block}{name}.weight': (32, ), f'{block}{name}.bias': (32, )}
            for name, rows, columns in (('attn.qkv', 96, 32), ('attn.proj', 32, 32), ('mlp.fc1', 48, 32), ('mlp.fc2', 32, 48)):
                shapes |= {f'{block}{name}.weight': (rows, columns), f'{block}{name}.bias': (rows, )}
            shapes |= {f'{block}ls1.gamma': (32, ), f'{block}ls2.gamma': (32, )}
        self.weights = {name: torch.randn(shape) * 0.3 for name, shape in shapes.items()}

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        def linear(x, name):
            return F.linear(x, self.weights[f'{name}.weight'], self.weights[f'{name}.bias'])

        def norm(x, name):
            return F.layer_norm(x, (32, ), self.weights[f'{name}.weight'], self.weights[f'{name}.bias'], 1e-6)

        weights = self.weights
        x = F.conv2d(images, weights['patch_embed.proj.weight'], weights['patch_embed.proj.bias'], stride=4).flatten(2).mT
        x = torch.cat([weights['cls_token'].expand(len(x), -1, -1), x], dim=1) + weights['pos_embed']
        for block in ('blocks.0', 'blocks.1'):
            joint = linear(norm(x, f'{block}.norm1'), f'{block}.attn.qkv').view(len(x), -1, 3, 2, 16)
            query, key, value = joint.permute(2, 0, 3, 1, 4)
            attention = (query @ key.mT / 4).softmax(-1) @ value
            x = x + weights[f'{block}.ls1.gamma'] * linear(attention.transpose(1, 2).flatten(2), f'{block}.attn.proj')
            hidden = F.gelu(linear(norm(x, f'{block}.norm2'), f'{block}.mlp.fc1'))
            x = x + weights[f'{block}.ls2.gamma'] * linear(hidden, f'{block}.mlp.fc2')
        return norm(x, 'norm')


def saved(path, state) -> str:
    torch.save(state, path)
    return str(path)


def prefixed(state: dict, prefix: str) -> dict:
    return {prefix + name: value for name, value in state.items()}


@pytest.mark.parametrize('wrap', [
    lambda state: state,
    lambda state: dict(state_dict=prefixed(state, 'backbone.')),
    lambda state: dict(model=prefixed(state, 'module.encoder.'), epoch=3),
    lambda state: dict(student=prefixed({name: value + 1 for name, value in state.items()}, 'module.backbone.'),
                       teacher=prefixed(state, 'backbone.')),
])
def test_a_resnet_is_torchvisions(resnet, tmp_path, wrap):
    network = build_foreign_backbone(dict(type='mmpretrain.ResNet', depth=50, out_indices=(0, 1, 2, 3),
                                          checkpoint=saved(tmp_path / 'net.pth', wrap(resnet.state_dict()))))
    images = torch.randn(1, 3, 32, 32)
    assert not network.training
    with torch.no_grad():
        maps = network(images)
        x = resnet.maxpool(resnet.relu(resnet.bn1(resnet.conv1(images))))
        for layer, actual in zip((resnet.layer1, resnet.layer2, resnet.layer3, resnet.layer4), maps, strict=True):
            torch.testing.assert_close(actual, x := layer(x), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize('wrap', [lambda state: state, lambda state: dict(model=prefixed(state, 'encoder.'))])
def test_a_vision_transformer_in_dinov2s_layout(tmp_path, wrap):
    plain, images = PlainViT(), torch.randn(2, 3, 16, 16)
    network = build_foreign_backbone(dict(VIT, checkpoint=saved(tmp_path / 'vit.pth', wrap(plain.weights))))
    with torch.no_grad():
        torch.testing.assert_close(network(images)[-1], plain(images), rtol=1e-4, atol=1e-4)


def test_a_checkpoint_in_init_cfg(tmp_path):
    plain = PlainViT()
    init_cfg = dict(type='Pretrained', checkpoint=saved(tmp_path / 'vit.pth', plain.weights))
    network = build_foreign_backbone(dict(VIT, init_cfg=init_cfg, out_type='cls_token'))
    images = torch.randn(2, 3, 16, 16)
    with torch.no_grad():
        torch.testing.assert_close(network(images)[-1], plain(images)[:, 0], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize('change, match', [
    (dict(layer_scale_init_value=0.), r'holds besides 4 of its parts \(layers.0.attn.gamma1.weight'),
    (dict(patch_size=8), 'size mismatch'),
    (dict(type='mmpretrain.ResNet', depth=50), 'not the weights of this ResNet: it lacks'),
    (dict(type='mmpretrain.NoSuchNet'), 'cannot be built'),
    (dict(colour='red'), "cannot be built .*'colour'"),
    (dict(checkpoint=None), 'has no checkpoint, so its weights would be random'),
    (dict(checkpoint='none.pth'), 'none.pth: no such checkpoint'),
])
def test_a_checkpoint_of_another_network_is_refused(tmp_path, change, match):
    config = dict(VIT, checkpoint=saved(tmp_path / 'vit.pth', PlainViT().weights))
    if change.get('type', '').endswith('ResNet'):
        config = dict(checkpoint=config['checkpoint'])
    with pytest.raises(UserError, match=match) as info:
        build_foreign_backbone({**config, **change})
    assert not re.search('\n', str(info.value))


def test_a_missing_weight_and_one_too_many(tmp_path):
    weights = PlainViT().weights
    few = {name: value for name, value in weights.items() if name != 'blocks.1.mlp.fc1.bias'}
    with pytest.raises(UserError, match=r'lacks 1 of its parts \(layers.1.ffn.layers.0.0.bias\)'):
        build_foreign_backbone(dict(VIT, checkpoint=saved(tmp_path / 'few.pth', few)))
    many = dict(weights, register_tokens=torch.zeros(1, 4, 32))  # DINOv2 with registers is another network
    with pytest.raises(UserError, match=r'holds besides 1 of its parts \(register_tokens\)'):
        build_foreign_backbone(dict(VIT, checkpoint=saved(tmp_path / 'many.pth', many)))


def test_a_pickle_with_code_is_refused(tmp_path):
    with pytest.raises(UserError, match='could execute code'):
        build_foreign_backbone(dict(VIT, checkpoint=saved(tmp_path / 'evil.pth', dict(state_dict={}, call=print))))
