from types import SimpleNamespace

import pytest
import torch
from torch import distributed, nn

from gaia_ssl.models.dynamic import DynamicBatchNorm1d, DynamicBatchNorm2d, DynamicSyncBatchNorm
from tests.distributed import run_distributed

CHANNELS, ACTIVE = 6, 4


def randomise(norm: nn.Module) -> nn.Module:
    for name, tensor in norm.state_dict().items():
        if tensor.is_floating_point():
            tensor.copy_(torch.rand_like(tensor) + (0.5 if 'var' in name else 0))
    return norm


def static_twin(norm: nn.Module, kind: type[nn.Module], channels: int = ACTIVE) -> nn.Module:
    twin = kind(channels, norm.eps, norm.momentum)
    state = norm.state_dict()
    twin.load_state_dict({name: value[:channels] if value.dim() else value for name, value in state.items()})
    return twin.train(norm.training)


@pytest.mark.parametrize('training', [True, False])
@pytest.mark.parametrize('kind, static, shape', [
    (DynamicBatchNorm1d, nn.BatchNorm1d, (5, ACTIVE)),
    (DynamicBatchNorm1d, nn.BatchNorm1d, (5, ACTIVE, 3)),
    (DynamicBatchNorm2d, nn.BatchNorm2d, (3, ACTIVE, 4, 5)),
    (DynamicSyncBatchNorm, nn.BatchNorm2d, (3, ACTIVE, 4, 5)),
    (DynamicSyncBatchNorm, nn.BatchNorm1d, (5, ACTIVE)),
])
def test_is_the_batch_norm_of_the_leading_channels(kind, static, shape, training):
    norm = randomise(kind(CHANNELS, eps=1e-3, momentum=0.3)).train(training)
    twin = static_twin(norm, static)
    untouched = norm.running_mean[ACTIVE:].clone(), norm.running_var[ACTIVE:].clone()
    x = torch.randn(shape) * 2 + 1
    assert torch.equal(norm(x), twin(x))
    assert torch.equal(norm.running_mean[:ACTIVE], twin.running_mean)
    assert torch.equal(norm.running_var[:ACTIVE], twin.running_var)
    assert norm.num_batches_tracked == 0  # which nobody reads
    assert torch.equal(norm.running_mean[ACTIVE:], untouched[0])
    assert torch.equal(norm.running_var[ACTIVE:], untouched[1])


@pytest.mark.parametrize('kind', [DynamicBatchNorm2d, DynamicSyncBatchNorm])
def test_splits_normalise_each_part_by_itself(kind):
    norm = randomise(kind(CHANNELS))
    twin = static_twin(norm, nn.BatchNorm2d)
    norm.splits = 3
    x = torch.randn(7, ACTIVE, 4, 4)
    assert torch.equal(norm(x), torch.cat([twin(x[:3]), twin(x[3:5]), twin(x[5:])]))
    assert torch.equal(norm.running_var[:ACTIVE], twin.running_var)
    assert torch.equal(norm.eval()(x), twin.eval()(x))  # no splits in eval mode


def test_more_splits_than_images_are_one_an_image():
    norm = DynamicBatchNorm2d(CHANNELS)
    norm.splits = 8
    x = torch.randn(3, ACTIVE, 4, 4)
    expected = (x - x.mean((2, 3), keepdim=True)) / (x.var((2, 3), correction=0, keepdim=True) + norm.eps).sqrt()
    torch.testing.assert_close(norm(x), expected, rtol=1e-4, atol=1e-5)


def test_without_running_statistics_the_batch_counts_in_eval_mode_too():
    norm = DynamicBatchNorm2d(CHANNELS, track_running_stats=False).eval()
    norm.splits = 3  # of training, and of no concern here
    x = torch.randn(3, ACTIVE, 4, 4)
    torch.testing.assert_close(norm(x), nn.BatchNorm2d(ACTIVE)(x))


def test_shapes_are_checked():
    cases = [(DynamicBatchNorm2d, (2, 4)), (DynamicBatchNorm1d, (2, 4, 3, 3)), (DynamicSyncBatchNorm, (4, ))]
    for kind, shape in cases:
        with pytest.raises(ValueError, match=r'[Ee]xpected'):
            kind(4)(torch.zeros(shape))


SIZES = (2, 5)
"""Images of the two processes: each counts by its size."""


def joint_case(shape: tuple[int, ...], mean: float) -> tuple[nn.Module, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    norm = DynamicSyncBatchNorm(CHANNELS, momentum=0.3)
    for tensor in norm.state_dict().values():
        if tensor.is_floating_point():
            tensor.copy_(torch.rand(tensor.shape, generator=generator) + 0.5)
    x = torch.randn(sum(SIZES), ACTIVE, *shape, generator=generator) + mean
    return norm, x, torch.randn(x.shape, generator=generator)


CASES = [((4, 3), 0.), ((), 0.), ((4, 3), 1000.)]


def sync_batch_norm(rank: int) -> list:
    """Outputs, gradients and statistics of this process's images, for each case and in eval mode."""
    results = []
    for shape, mean in CASES:
        norm, x, weights = joint_case(shape, mean)
        x = x.split(SIZES)[rank].clone().requires_grad_()
        out = norm(x)
        (out * weights.split(SIZES)[rank]).sum().backward()
        state = {name: value.clone() for name, value in norm.state_dict().items()}
        results.append((out.detach(), x.grad, norm.weight.grad, norm.bias.grad, state, norm.eval()(x).detach()))
    return results


def test_two_processes_make_one_batch():
    """``nn.BatchNorm`` on the joint batch says what synchronised batch norm must put out."""
    first, second = run_distributed(sync_batch_norm, 2)
    for (shape, mean), one, other in zip(CASES, first, second, strict=True):
        norm, x, weights = (thing.double() for thing in joint_case(shape, mean))
        twin = static_twin(norm, nn.BatchNorm2d if shape else nn.BatchNorm1d).double()
        x.requires_grad_()
        out = twin(x)
        (out * weights).sum().backward()
        tolerance = dict(rtol=1e-4, atol=1e-3 if mean else 1e-5, check_dtype=False)
        torch.testing.assert_close(torch.cat([one[0], other[0]]), out, **tolerance)
        torch.testing.assert_close(torch.cat([one[1], other[1]]), x.grad, **tolerance)
        # A process's gradient is that of its own part of the loss; DDP sums (averages) them.
        torch.testing.assert_close((one[2] + other[2])[:ACTIVE], twin.weight.grad, **tolerance)
        torch.testing.assert_close((one[3] + other[3])[:ACTIVE], twin.bias.grad, **tolerance)
        for result in (one, other):
            for name, value in twin.state_dict().items():
                if name == 'num_batches_tracked':
                    continue  # which nobody reads
                torch.testing.assert_close(result[4][name][:ACTIVE], value, rtol=1e-5, atol=1e-5, check_dtype=False)
            assert torch.equal(result[4]['running_mean'][ACTIVE:], norm.running_mean[ACTIVE:].float())
        torch.testing.assert_close(torch.cat([one[5], other[5]]), twin.eval()(x), **tolerance)


class OnCuda(torch.Tensor):
    is_cuda = True


def test_on_cuda_it_is_torchs_own(monkeypatch):
    """With the leading channels of parameters and statistics, which it changes in place."""
    calls = []
    monkeypatch.setattr('gaia_ssl.models.dynamic.norm.get_world_size', lambda: 2)
    monkeypatch.setattr('gaia_ssl.models.dynamic.norm.sync_batch_norm', SimpleNamespace(
        apply=lambda x, *settings: calls.append(settings) or x))
    norm = DynamicSyncBatchNorm(CHANNELS, eps=1e-3, momentum=0.3)
    x = torch.empty(3, ACTIVE, 4, 5).as_subclass(OnCuda)
    assert norm(x) is x
    (weight, bias, mean, var, *settings), = calls
    assert settings == [1e-3, 0.3, distributed.group.WORLD, 2]
    norm.running_mean.fill_(7.)
    for part, whole in ((weight, norm.weight), (bias, norm.bias), (mean, norm.running_mean), (var, norm.running_var)):
        assert part.shape == (ACTIVE, ) and part.data_ptr() == whole.data_ptr()
