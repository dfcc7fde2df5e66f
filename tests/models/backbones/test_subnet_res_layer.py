import pytest
import torch
from mmengine.model import revert_sync_batchnorm
from torch import nn

from gaia_ssl.checkpoint import save_checkpoint
from gaia_ssl.errors import UserError
from gaia_ssl.models import SubnetResLayer, SubnetResNet
from gaia_ssl.registry import MODELS

RESNET50 = '64-64x3-128x4-256x6-512x3'
ODD = '5-6x2-7x1-9x1-13x2'


def randomise_norms(net: nn.Module) -> nn.Module:
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor in module.state_dict().values():
                if tensor.is_floating_point():
                    tensor.copy_(torch.rand(tensor.shape) + 0.5)
    return net


def in_training(net: nn.Module) -> set[str]:
    return {name for name, module in net.named_modules() if isinstance(module, nn.BatchNorm2d) and module.training}


@pytest.mark.parametrize('settings', [dict(), dict(norm_eval=True), dict(stride=1, dilation=2)], ids=str)
def test_is_mmdets_res_layer(settings):
    mmdet = pytest.importorskip('mmdet.models.roi_heads.shared_heads')
    with torch.device('meta'):
        reference = mmdet.ResLayer(50, **{'norm_eval': False, **settings})
        net = SubnetResLayer(RESNET50, extra_norm=False, **settings)
    state = randomise_norms(net.to_empty(device='cpu')).state_dict()
    for value in state.values():
        if value.dim() == 4:
            nn.init.kaiming_normal_(value)
    reference.to_empty(device='cpu').load_state_dict(state)  # the same keys
    x = torch.randn(2, 1024, 6, 6)
    for training in (True, False):
        reference.train(training), net.train(training)
        assert in_training(net) == in_training(reference)
        with torch.no_grad():
            torch.testing.assert_close(net(x), reference(x), rtol=1e-4, atol=1e-4)


def test_the_further_norm_comes_last():
    net = SubnetResLayer(ODD).eval()
    net.norm.load_state_dict(dict(weight=torch.full((52, ), 3.0), bias=torch.ones(52), running_mean=torch.full((52, ), 2.0),
                                  running_var=torch.full((52, ), 4.0), num_batches_tracked=torch.tensor(1)))
    x = torch.randn(2, 36, 5, 5)
    torch.testing.assert_close(net(x), (net.layer4(x) - 2) / 2 * 3 + 1, rtol=1e-4, atol=1e-4)
    assert net(x).shape == (2, 52, 3, 3)


def test_norms_can_be_synchronised_and_kept_in_eval():
    net = MODELS.build(dict(type='gaia_ssl.SubnetResLayer', arch=ODD, norm_cfg=dict(type='SyncBN'), norm_eval=True))
    assert all(isinstance(module, nn.SyncBatchNorm) for name, module in net.named_modules() if 'bn' in name or name == 'norm')
    net = revert_sync_batchnorm(net).train()
    assert net.training and not net.norm.training and not net.layer4[1].bn3.training


def exported(path, **changes) -> tuple[str, dict]:
    state = {**randomise_norms(SubnetResNet(ODD)).state_dict(), **changes}
    state = {name: value for name, value in state.items() if value is not None}
    save_checkpoint(dict(state_dict=state, meta=dict(gaia_ssl=dict(arch=ODD))), path)
    return str(path), state


def pretrained(path: str, cls=SubnetResLayer, arch: str = ODD, **kwargs) -> nn.Module:
    net = cls(arch, init_cfg=dict(type='Pretrained', checkpoint=path), **kwargs)
    net.init_weights()
    return net


def test_stage_and_backbone_share_out_the_file(tmp_path):
    path, state = exported(tmp_path / 'backbone.pth')
    head, backbone = pretrained(path), pretrained(path, SubnetResNet, num_stages=3, out_indices=(2, ))
    parts = {**backbone.state_dict(), **{name: value for name, value in head.state_dict().items() if name.startswith('layer4')}}
    assert set(parts) == set(state) and all(torch.equal(parts[name], state[name]) for name in state)
    assert not set(backbone.state_dict()) & set(head.state_dict())
    x, whole = torch.randn(1, 3, 64, 64), pretrained(path, SubnetResNet).eval()
    with torch.no_grad():
        assert torch.equal(head.eval().layer4(backbone.eval()(x)[0]), whole(x)[3])
    assert head.norm.weight.eq(1).all() and head.norm.running_mean.eq(0).all()


@pytest.mark.parametrize('changes, message', [
    ({'layer4.0.bn2.bias': None}, 'Missing key.*0.bn2.bias'),
    ({'layer4.0.fc.weight': torch.zeros(1)}, 'Unexpected key.*0.fc.weight'),
    ({'layer4.1.conv1.weight': torch.zeros(1, 2, 1, 1)}, 'size mismatch for 1.conv1.weight'),
])
def test_a_key_that_does_not_match_is_an_error(tmp_path, changes, message):
    path, _ = exported(tmp_path / 'backbone.pth', **changes)
    with pytest.raises(UserError, match=f"stage 4 of the arch '{ODD}': .*{message}") as info:
        pretrained(path)
    assert '\n' not in str(info.value)


def test_the_first_stages_ignore_no_other_key(tmp_path):
    path, _ = exported(tmp_path / 'backbone.pth', **{'layer40.weight': torch.zeros(1)})
    with pytest.raises(UserError, match='Unexpected key.*layer40'):
        pretrained(path, SubnetResNet, num_stages=3)


def test_another_arch(tmp_path):
    path, _ = exported(tmp_path / 'backbone.pth')
    with pytest.raises(UserError, match=f'holds the backbone {ODD}, but the config says'):
        pretrained(path, arch='5-6x2-7x1-9x1-13x1')
