"""How a subnet computes: dynamic layers, backbones, heads, and the self-supervised algorithms that train the supernet."""

from gaia_ssl.models.algorithms import (
    SandwichDistributedDataParallel,
    SupernetBYOL,
    SupernetDenseCL,
    SupernetMoCo,
    SupernetReSSL,
)
from gaia_ssl.models.backbones import DynamicResNet, SubnetResNet
from gaia_ssl.models.extract import extract_subnet
from gaia_ssl.models.heads import RelationHead

__all__ = [
    'DynamicResNet', 'RelationHead', 'SandwichDistributedDataParallel', 'SubnetResNet', 'SupernetBYOL', 'SupernetDenseCL',
    'SupernetMoCo', 'SupernetReSSL', 'extract_subnet'
]
