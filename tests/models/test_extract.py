import pytest
import torch

from gaia_ssl import Arch
from gaia_ssl.errors import UserError
from gaia_ssl.models import SubnetResNet, extract_subnet
from tests import tiny

ARCHS = [tiny.SPACE.min, tiny.SPACE[11], tiny.SPACE.max, Arch.parse('5-6x2-7x1-9x1-13x1')]


def supernet_backbone():
    net = tiny.supernet().backbone
    net.out_indices = (0, 1, 2, 3)
    return net


@pytest.mark.parametrize('arch', ARCHS, ids=str)
def test_an_extracted_subnet_computes_what_the_supernet_does(arch):
    supernet, images = supernet_backbone(), tiny.images(3)
    subnet = extract_subnet(supernet, arch)
    assert type(subnet) is SubnetResNet and subnet.arch == arch and not subnet.training
    supernet.set_arch(arch)
    with torch.no_grad():
        for a, b in zip(supernet.eval()(images), subnet(images), strict=True):
            assert torch.equal(a, b)  # leading slices of the statistics, too


def test_an_extracted_subnet_shares_no_memory():
    supernet = supernet_backbone()
    before = {name: value.clone() for name, value in supernet.state_dict().items()}
    for value in extract_subnet(supernet, tiny.SPACE.max).state_dict().values():
        value.add_(1)
    assert tiny.equal(dict(supernet.state_dict()), before)


def test_an_arch_larger_than_the_supernet():
    with pytest.raises(UserError, match='larger than the supernet'):
        extract_subnet(supernet_backbone(), Arch.parse('8-8x2-8x2-16x2-16x1'))
