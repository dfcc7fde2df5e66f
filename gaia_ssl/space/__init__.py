"""What a subnet is: the architecture, the search space, closed-form cost, budget groups and samplers. No torch here."""

from gaia_ssl.space.arch import Arch
from gaia_ssl.space.arch_space import DATA_SPACE, ArchSpace
from gaia_ssl.space.groups import FlopsGroups
from gaia_ssl.space.sampler import SandwichSampler

__all__ = ['DATA_SPACE', 'Arch', 'ArchSpace', 'FlopsGroups', 'SandwichSampler']
