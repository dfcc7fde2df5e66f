import pytest
import torch
from torch import nn

from gaia_ssl import DATA_SPACE, Arch
from gaia_ssl.errors import UserError
from gaia_ssl.models import DynamicResNet, extract_subnet
from gaia_ssl.models.dynamic import DynamicSyncBatchNorm

RESNET50 = Arch.parse('64-64x3-128x4-256x6-512x3')


def randomise_norms(net: nn.Module) -> nn.Module:
    """So that neither a statistic nor a scale is neutral."""
    for name, tensor in net.state_dict().items():
        if 'bn' in name or 'downsample.1' in name:
            if tensor.is_floating_point():
                tensor.copy_(torch.rand(tensor.shape) + 0.5)
    return net


@pytest.fixture(scope='module')
def data_supernet() -> DynamicResNet:
    torch.manual_seed(0)
    return randomise_norms(DynamicResNet(DATA_SPACE))


@pytest.fixture
def tiny_supernet(tiny_space) -> DynamicResNet:
    return randomise_norms(DynamicResNet(tiny_space))


@pytest.mark.parametrize('training', [False, True])
def test_is_torchvisions_resnet50_on_its_weights(data_supernet, training):
    """Torchvision's weights are put into the leading slices, among the random weights of everything else."""
    models = pytest.importorskip('torchvision.models')
    from torchvision.models.feature_extraction import create_feature_extractor
    reference = randomise_norms(models.resnet50(weights=None))
    state = data_supernet.state_dict()
    for name, value in reference.state_dict().items():
        if not name.startswith('fc.'):
            state[name][tuple(map(slice, value.shape))] = value
    layers = {f'layer{stage}': f'c{stage + 1}' for stage in range(1, 5)}
    x = torch.randn(4, 3, 64, 96)
    data_supernet.set_arch(RESNET50)
    with torch.no_grad():
        outs = data_supernet.train(training)(x)
        expected = create_feature_extractor(reference.train(training), layers)(x)
    assert [out.shape[1] for out in outs] == [256, 512, 1024, 2048]
    for out, feature in zip(outs, expected.values(), strict=True):
        torch.testing.assert_close(out, feature, rtol=1e-5, atol=1e-5 * float(feature.abs().max()))


def assert_equal_to_static_twin(supernet: DynamicResNet, arch: Arch, x: torch.Tensor) -> None:
    twin = extract_subnet(supernet, arch)
    supernet.set_arch(arch)
    for training in (False, True):
        twin.train(training), supernet.train(training)
        for layout in (torch.contiguous_format, torch.channels_last):
            images = x.contiguous(memory_format=layout)
            with torch.no_grad():
                outs, expected = supernet(images), twin(images)
            assert [tuple(out.shape[1:2]) for out in outs] == [(channels, ) for channels in arch.out_channels]
            for out, feature in zip(outs, expected, strict=True):
                assert torch.equal(out, feature)
    # In training mode each forward moved the running statistics: the subnet's own, and by as much.
    state = supernet.state_dict()
    for name, value in twin.state_dict().items():
        if 'running' in name:
            assert torch.equal(state[name][:len(value)], value), name


@pytest.mark.parametrize('draw', range(20))
def test_random_archs_equal_their_static_twins_to_the_bit(tiny_supernet, tiny_space, draw):
    index = int(torch.randint(len(tiny_space), (20, ), generator=torch.Generator().manual_seed(1))[draw])
    assert_equal_to_static_twin(tiny_supernet, tiny_space[index], torch.randn(4, 3, 64, 48))


@pytest.mark.parametrize('arch', [
    str(DATA_SPACE.min), '48-80x3-96x4-320x7-512x2', '64-48x2-160x2-192x9-640x3', '33-49x2-97x3-193x6-385x1'
])
def test_archs_of_the_papers_space_equal_their_static_twins_to_the_bit(data_supernet, arch):
    assert_equal_to_static_twin(data_supernet, Arch.parse(arch), torch.randn(2, 3, 64, 64))


def test_gradients_equal_the_static_twins(tiny_supernet, tiny_space):
    arch = Arch.parse('4-8x1-8x2-12x2-16x1')
    twin = extract_subnet(tiny_supernet, arch).train()
    tiny_supernet.train().set_arch(arch)
    x = torch.randn(4, 3, 48, 64)
    for net in (tiny_supernet, twin):
        sum(out.square().mean() for out in net(x)).backward()
    parameters = dict(tiny_supernet.named_parameters())
    for name, parameter in twin.named_parameters():
        grad = parameters.pop(name).grad
        inside = tuple(map(slice, parameter.shape))
        torch.testing.assert_close(grad[inside], parameter.grad, rtol=1e-5, atol=1e-6)
        grad[inside] = 0
        assert not grad.any(), f'{name} outside the subnet'
    assert all(parameter.grad is None for parameter in parameters.values()), 'blocks beyond the depth'


def test_the_supernet_holds_the_max_arch_and_starts_with_it(tiny_space):
    net = DynamicResNet(tiny_space)
    assert net.arch == tiny_space.max
    assert sum(p.numel() for p in net.parameters()) == tiny_space.max.params()
    assert [out.shape[1] for out in net(torch.randn(2, 3, 32, 32))] == list(tiny_space.max.out_channels)


def test_a_space_can_be_a_dict(tiny_space):
    assert DynamicResNet(tiny_space.to_dict()).space == tiny_space


def test_set_arch_refuses_what_it_has_no_weights_for(tiny_supernet, tiny_space):
    with pytest.raises(UserError, match='larger than the supernet'):
        tiny_supernet.set_arch(RESNET50)
    assert tiny_supernet.arch == tiny_space.max


def test_sync_batch_norm_on_one_process_is_batch_norm(tiny_space):
    net = randomise_norms(DynamicResNet(tiny_space))
    synced = DynamicResNet(tiny_space, norm_cfg=dict(type='SyncBN', momentum=0.1))
    assert isinstance(synced.bn1, DynamicSyncBatchNorm)
    synced.load_state_dict(net.state_dict())
    x = torch.randn(2, 3, 64, 64)
    for out, expected in zip(synced(x), net(x), strict=True):
        assert torch.equal(out, expected)


def test_other_norms_are_refused(tiny_space):
    with pytest.raises(ValueError, match='GN'):
        DynamicResNet(tiny_space, norm_cfg=dict(type='GN', num_groups=2))


def test_init_weights_is_kaiming_with_blocks_that_start_as_their_shortcut(tiny_space):
    net = DynamicResNet(tiny_space)
    net.init_weights()
    assert not any(block.bn3.weight.any() for layer in net.layers for block in layer)
    fan_out = 16 * 9
    assert float(net.layer4[0].conv2.weight.std()) == pytest.approx((2 / fan_out)**0.5, rel=0.1)
    other = DynamicResNet(tiny_space, zero_init_residual=False)
    other.init_weights()
    assert all(block.bn3.weight.all() for layer in other.layers for block in layer)
