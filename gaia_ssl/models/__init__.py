"""How a subnet computes: dynamic layers, backbones, and the self-supervised algorithms that train the supernet."""

from gaia_ssl.models.algorithms import SandwichDistributedDataParallel, SupernetMoCo
from gaia_ssl.models.backbones import DynamicResNet, SubnetResNet
from gaia_ssl.models.extract import extract_subnet

__all__ = ['DynamicResNet', 'SandwichDistributedDataParallel', 'SubnetResNet', 'SupernetMoCo', 'extract_subnet']
