import torch

from gaia_ssl import Arch
from gaia_ssl.models import SubnetResNet
from gaia_ssl.models.channel_order import channel_groups, importance, reorder, sort_channels
from tests import tiny
from tests.models import layouts

ARCH = Arch.parse('8-4x2-8x1-8x3-16x1')


def net() -> SubnetResNet:
    return layouts.randomise(SubnetResNet(ARCH, stem_kernel=3))


def test_every_channel_of_every_tensor_is_in_one_group():
    state = net().state_dict()
    put_out = [name for group in channel_groups(ARCH) for pair in group.producers for name in pair]
    assert sorted(put_out) == sorted({name.rpartition('.')[0] for name in state})
    taken_in = [conv for group in channel_groups(ARCH) for conv, _ in group.consumers]
    convolutions = {name.rpartition('.')[0] for name, value in state.items() if value.dim() == 4}
    assert sorted(taken_in) == sorted(convolutions - {'conv1'})


def test_any_order_keeps_the_function():
    plain, images = net(), tiny.images(2, size=24)
    state = dict(plain.state_dict())
    last = None
    for group in channel_groups(ARCH):
        last = torch.randperm(len(state[f'{group.producers[0][1]}.weight']))
        reorder(state, group, last)
    other = SubnetResNet(ARCH, stem_kernel=3).eval()
    other.load_state_dict(state)
    torch.testing.assert_close(other(images)[-1], plain(images)[-1][:, last], rtol=1e-4, atol=1e-5)


def test_the_important_channels_come_first():
    state = net().state_dict()
    before = {name: value.clone() for name, value in state.items()}
    ordered = sort_channels(state, ARCH)
    for group in channel_groups(ARCH):
        scores = importance(ordered, group)
        assert (scores.diff() <= 1e-5 * scores.max()).all()
    assert tiny.equal(dict(state), before), 'what is given stays'
    assert tiny.equal(sort_channels(ordered, ARCH), ordered), 'it is in order already'


def test_importance_is_the_variance_that_arrives():
    """Against samples: images of independent Gaussians through the batch norms, ReLU, the consumer and its batch norm."""
    torch.manual_seed(0)
    state = {name: value.double() for name, value in net().state_dict().items()}
    _, group, *_ = channel_groups(ARCH)  # conv1 of the first block into its conv2
    (_, producer), = group.producers
    (conv, norm), = group.consumers
    x = torch.randn(4000, 4, 3, 3, dtype=torch.float64)
    weight, bias = (state[f'{producer}.{name}'][:, None, None] for name in ('weight', 'bias'))
    arrived = []
    for channel in range(4):
        alone = torch.zeros_like(x)
        alone[:, channel] = (x * weight + bias).relu()[:, channel]
        out = torch.nn.functional.conv2d(alone, state[f'{conv}.weight'])[:, :, 0, 0]
        scale = state[f'{norm}.weight'] / (state[f'{norm}.running_var'] + 1e-5).sqrt()
        arrived.append((out * scale).var(0).sum())
    torch.testing.assert_close(importance(state, group), torch.stack(arrived), rtol=0.1, atol=0)


def test_a_channel_that_never_varies_comes_last():
    state = dict(net().state_dict())
    for name in ('weight', 'bias'):
        state[f'layer2.0.bn1.{name}'] = state[f'layer2.0.bn1.{name}'].clone()
        state[f'layer2.0.bn1.{name}'][2] = 0
    kept = state['layer2.0.conv1.weight'][2]
    torch.testing.assert_close(sort_channels(state, ARCH)['layer2.0.conv1.weight'][-1].sum(), kept.sum())
