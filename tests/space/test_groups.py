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


@pytest.mark.parametrize('flops, names', [
    ((1.665e9, 15.51e9), ('1-2G', '2-3G', '3-4G', '4-5G', '5-6G', '6-7G', '7-8G')),
    ((0.5e9, 2.3e9), ('0-1G', '1-2G', '2-3G')),
    ((0.11e9, 0.36e9), ('110-160M', '160-210M', '210-270M', '270-320M', '320-370M')),
    ((0.17e9, 1.13e9), ('170-360M', '360-560M', '560-750M', '750-950M', '950-1140M')),
    ((4.09e9, 4.09e9), ('4-5G', )),
    ((12.1e9, ), ('12-13G', )),
    ((9.5e9, 12.1e9), ('9-10G', '10-11G', '11-12G', '12-13G')),
    ((5e6, ), ('0-1G', )),
])
def test_groups_of_what_there_is(flops, names):
    groups = FlopsGroups.of(np.array(flops))
    assert groups.names == names
    assert all(groups.assign(flops) >= 0) or flops[-1] > 8e9 > flops[0]  # the paper's groups end there


@pytest.mark.parametrize('edges', [(), (1e9, ), (2e9, 1e9), (1e9, 1e9)])
def test_bad_edges(edges):
    with pytest.raises(UserError, match='ascending'):
        FlopsGroups(edges)
