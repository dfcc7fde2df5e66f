"""How a subnet computes: dynamic layers, backbones, and the self-supervised algorithms that train the supernet."""

from gaia_ssl.models.algorithms import SandwichDistributedDataParallel, SupernetMoCo
from gaia_ssl.models.backbones import DynamicResNet, SubnetResNet

__all__ = ['DynamicResNet', 'SandwichDistributedDataParallel', 'SubnetResNet', 'SupernetMoCo']
