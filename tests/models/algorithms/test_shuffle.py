import pytest
import torch
from torch import nn

from gaia_ssl.errors import UserError
from gaia_ssl.models.algorithms.shuffle import ShuffleBN
from gaia_ssl.models.dynamic import DynamicBatchNorm1d
from tests.distributed import run_distributed

SIZE = 6


def joint(world: int, size: int = SIZE) -> torch.Tensor:
    return torch.randn(world * size, 3, generator=torch.Generator().manual_seed(0)) * torch.arange(1, 4)


def shuffle(rank: int, world: int) -> tuple:
    """What is encoded here, and what comes back, of the ``rank``-th part of the joint batch."""
    norm, seen = DynamicBatchNorm1d(3), []
    shuffle_bn = ShuffleBN(nn.Sequential(norm), splits=4)
    images = joint(world).chunk(world)[rank]
    order = shuffle_bn(lambda x: (seen.append(x), x)[1], images)
    normalised = shuffle_bn(norm, images).detach()
    return seen[0], order, shuffle_bn.own(order), normalised, norm.splits


@pytest.mark.parametrize('world', [2, 3])
def test_processes_encode_each_others_images_and_get_them_back_in_order(world):
    everything = joint(world)
    results = run_distributed(shuffle, world, world)
    expected = torch.empty_like(everything)
    for rank in range(world):
        part = everything[rank::world]
        expected[rank::world] = (part - part.mean(0)) / (part.var(0, correction=0) + 1e-5).sqrt()
    for rank, (seen, order, own, normalised, splits) in enumerate(results):
        local = everything.chunk(world)[rank]
        assert torch.equal(order, everything) and torch.equal(own, local)
        torch.testing.assert_close(normalised, expected, rtol=1e-4, atol=1e-5)
        from_here = sum(any(torch.equal(image, mine) for mine in local) for image in seen)
        assert len(seen) == SIZE and from_here == SIZE // world
        assert splits == 1
    # Each process's own statistics would have said something else.
    apart = torch.cat([(part - part.mean(0)) / part.std(0, correction=0) for part in everything.chunk(world)])
    assert (expected - apart).abs().max() > 0.1


def test_one_process_splits_instead():
    norm = DynamicBatchNorm1d(3)
    shuffle_bn = ShuffleBN(nn.Sequential(norm), splits=3)
    x = joint(1)
    expected = torch.cat([(part - part.mean(0)) / (part.var(0, correction=0) + 1e-5).sqrt() for part in x.split(2)])
    torch.testing.assert_close(shuffle_bn(norm, x), expected, rtol=1e-4, atol=1e-5)
    assert torch.equal(shuffle_bn.own(x), x)


def test_splits_are_checked():
    with pytest.raises(UserError, match='bn_splits is 0'):
        ShuffleBN(nn.Identity(), 0)


def travel(rank: int, world: int, size: int) -> tuple:
    """What is encoded here and what comes back, of images in the layout that the sandwich step gives them."""
    images = joint(world, size).chunk(world)[rank][:, :, None, None].expand(-1, -1, 2, 4)
    seen = []
    order = ShuffleBN(nn.Identity(), splits=1)(lambda x: (seen.append(x), x.mean((2, 3)))[1],
                                               images.contiguous(memory_format=torch.channels_last))
    return seen[0], order


@pytest.mark.parametrize('size', [4, 5])
def test_images_keep_their_pixels_and_layout_on_the_way(size):
    """Also where a process's images do not divide by the number of processes, and it sends more to some than to others."""
    for rank, (seen, order) in enumerate(run_distributed(travel, 3, 3, size)):
        assert torch.equal(seen, joint(3, size)[rank::3][:, :, None, None].expand(-1, -1, 2, 4))
        assert seen.is_contiguous(memory_format=torch.channels_last)
        torch.testing.assert_close(order, joint(3, size))
