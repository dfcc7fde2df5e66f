import numpy as np
import pytest

from gaia_ssl import DATA_SPACE
from gaia_ssl.errors import UserError
from gaia_ssl.space import FlopsGroups


def test_the_papers_groups_of_the_papers_space():
    flops = DATA_SPACE.costs()['flops']
    assigned = FlopsGroups.paper().assign(flops)
    assert np.bincount(assigned + 1).tolist() == [23346, 34, 1986, 8597, 14504, 15651, 12033, 9142]
    assert (flops[assigned == -1] > 8e9).all()


def test_intervals_are_half_open():
    groups = FlopsGroups((10, 20, 40))
    assert groups.assign([9, 10, 19, 20, 39, 40, 1000]).tolist() == [-1, 0, 0, 1, 1, -1, -1]
    assert groups.assign(np.array([[15], [25]])).tolist() == [[0], [1]]


def test_names():
    assert FlopsGroups.paper().names == ('1-2G', '2-3G', '3-4G', '4-5G', '5-6G', '6-7G', '7-8G')
    assert FlopsGroups((5e8, 1.5e9)).names == ('0.5-1.5G', )
    assert FlopsGroups((150e6, 300e6)).names == ('150-300M', )


@pytest.mark.parametrize('edges', [(), (1e9, ), (2e9, 1e9), (1e9, 1e9)])
def test_bad_edges(edges):
    with pytest.raises(UserError, match='ascending'):
        FlopsGroups(edges)
