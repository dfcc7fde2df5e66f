import pytest
from mmengine.dataset import DefaultSampler
from mmengine.registry import DATA_SAMPLERS

from gaia_ssl.datasets import SeededSampler
from gaia_ssl.datasets.sampler import sample_seed

DATA = range(101)
PINNED = [1317536309490288386, 5464283449182725445, 1701700534836852853]


def pairs(epoch: int = 0, **kwargs) -> list[tuple[int, int]]:
    sampler = SeededSampler(DATA, **kwargs)
    sampler.set_epoch(epoch)
    return list(sampler)


@pytest.mark.parametrize('shuffle', [True, False])
@pytest.mark.parametrize('epoch', [0, 3])
def test_order_is_that_of_default_sampler(shuffle, epoch):
    reference = DefaultSampler(DATA, shuffle=shuffle, seed=7)
    reference.set_epoch(epoch)
    assert [index for _, index in pairs(epoch, shuffle=shuffle, seed=7)] == list(reference)


def test_ranks_share_the_data(monkeypatch):
    seen = []
    for rank in range(2):
        monkeypatch.setattr('mmengine.dataset.sampler.get_dist_info', lambda rank=rank: (rank, 2))
        part = pairs(seed=7)
        assert len(part) == 51
        seen += part
    assert set(seen) == set((sample_seed(7, 0, index), index) for index in DATA)


def test_seeds_are_distinct_ints_of_63_bits():
    keys = [(seed, epoch, index) for seed in range(3) for epoch in range(3) for index in range(50)]
    seeds = [sample_seed(*key) for key in keys]
    assert len(set(seeds)) == len(keys)
    assert all(isinstance(seed, int) and 0 <= seed < 2**63 for seed in seeds)
    assert max(seeds) > 2**62 and len({seed % 2**32 for seed in seeds}) == len(keys)


def test_seeds_never_change():
    assert [sample_seed(0, 0, 0), sample_seed(1, 2, 3), sample_seed(2**32 - 1, 10**6, 10**9)] == PINNED


def test_seed_depends_on_seed_epoch_and_index_alone():
    one = dict((index, seed) for seed, index in pairs(2, shuffle=True, seed=7))
    other = dict((index, seed) for seed, index in pairs(2, shuffle=False, seed=7))
    assert one == other == {index: sample_seed(7, 2, index) for index in DATA}


def test_a_started_epoch_keeps_its_seeds():
    sampler = SeededSampler(DATA, shuffle=False, seed=7)
    iterator = iter(sampler)
    sampler.set_epoch(1)
    assert next(iterator) == (sample_seed(7, 0, 0), 0)


def test_registered():
    sampler = DATA_SAMPLERS.build(dict(type='gaia_ssl.SeededSampler', dataset=DATA, seed=0))
    assert isinstance(sampler, SeededSampler) and len(sampler) == 101
