"""The supernet's backbone, its static twin, and that twin's last stage as a detector's shared head."""

from gaia_ssl.models.backbones.dynamic_resnet import DynamicResNet
from gaia_ssl.models.backbones.subnet_res_layer import SubnetResLayer
from gaia_ssl.models.backbones.subnet_resnet import SubnetResNet

__all__ = ['DynamicResNet', 'SubnetResLayer', 'SubnetResNet']
