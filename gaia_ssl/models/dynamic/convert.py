"""Other people's modules, made to take any width."""

from torch import nn

from gaia_ssl.models.dynamic.conv import DynamicConv2d
from gaia_ssl.models.dynamic.linear import DynamicLinear


def make_dynamic(module: nn.Module) -> nn.Module:
    """Turn every ``nn.Linear`` and ``nn.Conv2d`` inside ``module`` into its dynamic kind, in place, keeping the parameters.

    So mmpretrain's necks take features of any width up to the one they were built for; what they put out stays whole.
    """
    for child in module.modules():
        if type(child) is nn.Linear:
            child.__class__ = DynamicLinear
        elif type(child) is nn.Conv2d:
            child.__class__ = DynamicConv2d
            child.active_channels = child.out_channels
    return module
