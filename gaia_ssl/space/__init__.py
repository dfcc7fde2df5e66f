"""What a subnet is: the architecture, the search space, cost, budgets, latency, groups and samplers. No torch here."""

from gaia_ssl.space.arch import Arch
from gaia_ssl.space.arch_space import DATA_SPACE, ArchSpace
from gaia_ssl.space.arch_tree import ArchTree
from gaia_ssl.space.budget import Budget, check_feasible, within
from gaia_ssl.space.groups import FlopsGroups
from gaia_ssl.space.latency import LatencyTable
from gaia_ssl.space.sampler import SandwichSampler

__all__ = [
    'DATA_SPACE', 'Arch', 'ArchSpace', 'ArchTree', 'Budget', 'FlopsGroups', 'LatencyTable', 'SandwichSampler',
    'check_feasible', 'within'
]
