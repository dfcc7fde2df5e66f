import numpy as np
import torch
from torch import nn

from gaia_ssl.evaluation import calibrate_bn
from gaia_ssl.models import SubnetResNet
from tests import tiny


def by_hand(net: nn.Module, batches: list[torch.Tensor]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Mean and variance over all values that reach each batch norm, while it normalises by the batch; in double."""
    values = {name: [] for name, module in net.named_modules() if isinstance(module, nn.BatchNorm2d)}
    hooks = [
        module.register_forward_pre_hook(lambda _, args, name=name: values[name].append(args[0].double().numpy()))
        for name, module in net.named_modules() if name in values
    ]
    for module in net.modules():
        module.training = True
    with torch.no_grad():
        for batch in batches:
            net(batch)
    for hook in hooks:
        hook.remove()
    result = {}
    for name, parts in values.items():
        pooled = np.concatenate([part.transpose(1, 0, 2, 3).reshape(part.shape[1], -1) for part in parts], axis=1)
        result[name] = pooled.mean(axis=1), pooled.var(axis=1)
    return result


def network(**kwargs) -> SubnetResNet:
    return SubnetResNet('5-6x2-7x1-9x1-13x1', stem_kernel=3, **kwargs)


def test_statistics_are_pooled_over_batches_of_unequal_size():
    batches = [tiny.images(5, 1), tiny.images(2, 2) * 3 + 4, tiny.images(3, 3) - 2]  # with other means and contrasts
    net = network()
    expected = by_hand(net, batches)
    calibrate_bn(net, batches)
    assert len(expected) == 1 + 5 * 3 + 4
    for name, (mean, var) in expected.items():
        module = net.get_submodule(name)
        np.testing.assert_allclose(module.running_mean.numpy(), mean, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(module.running_var.numpy(), var, rtol=1e-3, atol=1e-6)
    # The variance between batches is a large part of it at the stem.
    within = np.mean([net.conv1(batch).detach().var(dim=(0, 2, 3), correction=0).numpy() for batch in batches], axis=0)
    assert (expected['bn1'][1] > 1.5 * within).any()


def test_earlier_statistics_leave_no_trace():
    batches = [tiny.images(4, 1), tiny.images(4, 2)]
    first, second = network(), network()
    second.load_state_dict(first.state_dict())
    for module in second.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.fill_(9)
            module.running_var.fill_(9)
    calibrate_bn(first, batches)
    calibrate_bn(second, batches)
    for name, value in first.state_dict().items():
        if 'num_batches' not in name:
            assert torch.equal(value, second.state_dict()[name]), name


def test_the_network_ends_in_eval_mode_with_its_momentum_and_weights():
    net = network(frozen_stages=1, norm_eval=True)
    weights = {name: value.clone() for name, value in net.named_parameters()}
    calibrate_bn(net, [tiny.images(4)])
    assert not any(module.training for module in net.modules())
    assert {module.momentum for module in net.modules() if isinstance(module, nn.BatchNorm2d)} == {0.1}
    assert all(torch.equal(value, weights[name]) for name, value in net.named_parameters())
    assert net.bn1.running_mean.abs().max() > 0  # frozen layers are calibrated too


def test_values_far_from_zero_keep_their_variance():
    """The spread of nearly equal images is small beside their mean."""
    norm = nn.Sequential(nn.BatchNorm2d(2))
    batches = [50 + 0.5 * torch.randn(4, 2, 8, 8, generator=torch.Generator().manual_seed(seed)) for seed in range(5)]
    pooled = torch.cat(batches).double().numpy()
    calibrate_bn(norm, batches)
    np.testing.assert_allclose(norm[0].running_var.numpy(), pooled.var(axis=(0, 2, 3)), rtol=1e-2)


def test_a_constant_channel_gives_no_nan():
    """In float32, the pooled variance of a constant far from zero may come out below zero."""
    norm = nn.Sequential(nn.BatchNorm2d(200))
    values = torch.linspace(20, 90, 200)[None, :, None, None]
    batches = [values.expand(count, 200, 8, 8) for count in (4, 3, 5)]
    calibrate_bn(norm, batches)
    assert (norm[0].running_var >= 0).all()
    assert norm(batches[0]).isfinite().all()
