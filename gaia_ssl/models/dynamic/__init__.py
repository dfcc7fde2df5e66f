"""Layers of which a subnet uses the leading channels."""

from gaia_ssl.models.dynamic.conv import DynamicConv2d
from gaia_ssl.models.dynamic.convert import make_dynamic
from gaia_ssl.models.dynamic.linear import DynamicLinear
from gaia_ssl.models.dynamic.norm import DynamicBatchNorm1d, DynamicBatchNorm2d, DynamicSyncBatchNorm

__all__ = [
    'DynamicBatchNorm1d', 'DynamicBatchNorm2d', 'DynamicConv2d', 'DynamicLinear', 'DynamicSyncBatchNorm', 'make_dynamic'
]
