"""How a subnet computes: dynamic layers, backbones, heads, and the self-supervised algorithms that train the supernet.

The backbones are here at once; ``gaia_ssl.models.algorithms`` brings mmpretrain along and is imported by those who train.
"""

from gaia_ssl.models.backbones import DynamicResNet, SubnetResLayer, SubnetResNet
from gaia_ssl.models.extract import extract_subnet

__all__ = ['DynamicResNet', 'SubnetResLayer', 'SubnetResNet', 'extract_subnet']
