"""The supernet's backbone and its static twin."""

from gaia_ssl.models.backbones.dynamic_resnet import DynamicResNet
from gaia_ssl.models.backbones.subnet_resnet import SubnetResNet

__all__ = ['DynamicResNet', 'SubnetResNet']
