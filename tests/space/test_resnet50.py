import pytest
import torch
import torchvision

from gaia_ssl import DATA_SPACE, Arch, ArchSpace
from gaia_ssl.errors import UserError
from gaia_ssl.models import SubnetResNet
from gaia_ssl.space.resnet50 import RESNET50, same_cost_resnet50


def test_resnet50_is_torchvisions():
    net, theirs = SubnetResNet(RESNET50), torchvision.models.resnet50()
    shapes = {name: value.shape for name, value in theirs.state_dict().items() if not name.startswith('fc.')}
    assert {name: value.shape for name, value in net.state_dict().items()} == shapes


@pytest.mark.parametrize('text, expected', [
    (str(RESNET50), str(RESNET50)),
    ('32-48x3-96x2-192x17-512x3', '64-64x3-120x4-240x6-480x3'),  # 3.69 G and 3.70 G
    ('64-80x4-160x6-320x29-640x4', '64-80x3-160x4-320x6-640x3'),  # dearer than any: the widest
])
def test_by_hand_on_the_papers_space(text, expected):
    assert str(same_cost_resnet50(Arch.parse(text), DATA_SPACE)) == expected


def test_costs_are_close_where_the_supernet_is_wide_enough():
    cheap = [arch for arch in (DATA_SPACE[index] for index in range(0, len(DATA_SPACE), 2003)) if arch.flops() < 6e9]
    assert len(cheap) > 20
    for arch in cheap:
        other = same_cost_resnet50(arch, DATA_SPACE)
        assert abs(other.flops() / arch.flops() - 1) < 0.04 and other.fits_in(DATA_SPACE.max) and other.depths == (3, 4, 6, 3)
        assert all(width % 8 == 0 for width in other.widths)


def test_depths_of_a_shallow_supernet_and_small_images():
    space = ArchSpace(stem=(16, 24), widths=((16, 24), (32, 48), (64, 96), (128, 192)),
                      depths=((1, ), (1, 2), (1, 2, 3), (1, 2)))
    arch = Arch.parse('24-24x1-48x2-96x2-128x2')
    other = same_cost_resnet50(arch, space, 32, stem_kernel=3)
    assert other.depths == (1, 2, 3, 2) and other.fits_in(space.max)
    assert abs(other.flops(32, 3) / arch.flops(32, 3) - 1) < 0.1


def test_a_supernet_that_is_too_narrow():
    space = ArchSpace(stem=(4, ), widths=((4, ), (8, ), (8, ), (16, )), depths=((1, ), ) * 4)
    with pytest.raises(UserError, match='narrower than any ResNet-50'):
        same_cost_resnet50(space.max, space)


def test_it_runs():
    net = SubnetResNet(same_cost_resnet50(DATA_SPACE.min, DATA_SPACE)).eval()
    with torch.no_grad():
        assert net(torch.rand(1, 3, 32, 32))[-1].shape[2:] == (1, 1)
