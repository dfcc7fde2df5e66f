import itertools

import numpy as np
import pytest

from gaia_ssl import DATA_SPACE, Arch, ArchSpace
from gaia_ssl.space import ArchTree
from tests import tiny


def numbers(arch: Arch) -> tuple[int, ...]:
    return (arch.stem, *itertools.chain(*zip(arch.widths, arch.depths, strict=True)))


@pytest.fixture
def archs() -> list[Arch]:
    """Some of the space, shuffled, one of them twice, and one off the grid."""
    rng = np.random.default_rng(0)
    chosen = [tiny.SPACE[int(index)] for index in rng.permutation(32)[:20]]
    return [*chosen, chosen[3], Arch.parse('5-6x2-7x1-9x1-13x1')]


def macs_by_hand(archs: list[Arch], resolution: int, stem_kernel: int) -> int:
    """Every distinct stem and every distinct block with all that comes before it, once."""
    computed = {}
    for arch in archs:
        before = 0
        computed[(arch.stem, )] = None
        for stage, (width, depth) in enumerate(zip(arch.widths, arch.depths, strict=True)):
            for blocks in range(1, depth + 1):
                path = (*numbers(arch)[:1 + 2 * stage], width, blocks)
                depths = (*arch.depths[:stage], blocks, *(1, ) * (3 - stage))
                whole = Arch(arch.stem, arch.widths, depths).flops(resolution, stem_kernel)
                if path not in computed:
                    # What the later stages and the first part cost is the same with and without the block.
                    fewer = (*arch.depths[:stage], blocks - 1, *(1, ) * (3 - stage))
                    computed[path] = (whole - Arch(arch.stem, arch.widths, fewer).flops(resolution, stem_kernel)
                                      if blocks > 1 else first_block(arch, stage, resolution, stem_kernel))
            before += 1
        if computed[(arch.stem, )] is None:
            computed[(arch.stem, )] = first_block(arch, -1, resolution, stem_kernel)
    return sum(computed.values())


def first_block(arch: Arch, stage: int, resolution: int, stem_kernel: int) -> int:
    """Counted out convolution by convolution; stage -1 is the stem."""
    strides = [2, 2, 1, 2, 2, 2] if stem_kernel == 7 else [1, 1, 1, 2, 2, 2]
    sides = [resolution]
    for stride in strides:
        sides.append(-(-sides[-1] // stride))
    if stage < 0:
        return sides[1]**2 * 3 * arch.stem * stem_kernel**2
    width, channels = arch.widths[stage], arch.stem if stage == 0 else 4 * arch.widths[stage - 1]
    before, after = sides[stage + 2]**2, sides[stage + 3]**2
    return channels * width * before + (9 * width * width + 4 * width * width + channels * 4 * width) * after


def test_rows_are_the_distinct_archs_in_order(archs):
    tree = ArchTree(archs)
    assert [tuple(row) for row in tree.numbers] == sorted({numbers(arch) for arch in archs})
    assert len(tree) == 21
    for arch, row in zip(archs, tree.rows, strict=True):
        assert tuple(tree.numbers[row]) == numbers(arch)


def test_subtrees_agree_in_a_prefix(archs):
    tree = ArchTree(archs)
    rows = [tuple(row) for row in tree.numbers]
    for level in range(10):
        ranges = tree.subtrees(level, 0, len(tree))
        assert [rows[start][:level] for start, _ in ranges] == sorted({row[:level] for row in rows})
        assert [stop for _, stop in ranges[:-1]] == [start for start, _ in ranges[1:]] and ranges[-1][1] == len(tree)
        assert all(len({row[:level] for row in rows[start:stop]}) == 1 for start, stop in ranges)


def test_each_node_has_one_owner(archs):
    tree = ArchTree(archs)
    assert sum(stop - start for start, stop in map(tree.unit_rows, range(tree.num_units))) == len(tree)
    assert tree.unit_sizes().tolist() == [stop - start for start, stop in map(tree.unit_rows, range(tree.num_units))]
    for stage in range(4):
        owned = [range(*tree.owned(stage, unit).indices(10**6)) for unit in range(tree.num_units)]
        assert list(itertools.chain(*owned)) == list(range(len({row[:3 + 2 * stage] for row in map(tuple, tree.numbers)})))


@pytest.mark.parametrize('resolution, stem_kernel', [(32, 3), (224, 7), (75, 7)])
def test_multiply_adds_equal_a_count_by_hand(archs, resolution, stem_kernel):
    units = ArchTree(archs).macs(resolution, stem_kernel)
    assert units.sum() == macs_by_hand(archs, resolution, stem_kernel)
    assert (units > 0).all()


def test_one_arch_costs_itself():
    arch = Arch.parse('64-64x3-128x4-256x6-512x3')
    assert ArchTree([arch]).macs().sum() == arch.flops()


def test_a_chain_of_depths_costs_its_deepest():
    space = ArchSpace(stem=[64], widths=[[64], [128], [256], [512]], depths=[[3], [4], [6], [1, 2, 3]])
    assert ArchTree(list(space)).macs().sum() == space.max.flops()


def test_the_whole_space():
    """35.24 T multiply-adds an image: 16.2 times fewer than one forward each, 53.7 than with a teacher's forward each."""
    tree = ArchTree(list(DATA_SPACE))
    walk, forwards = tree.macs().sum(), DATA_SPACE.costs()['flops'].sum()
    assert len(tree) == 85_293 and tree.num_units == 729
    assert walk / 1e12 == pytest.approx(35.24, abs=0.005)
    assert forwards / walk == pytest.approx(16.2, abs=0.05)
    assert (forwards + len(tree) * DATA_SPACE.max.flops()) / walk == pytest.approx(53.7, abs=0.05)
