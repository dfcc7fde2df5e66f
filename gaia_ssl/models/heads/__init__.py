"""Heads that mmpretrain lacks: a head makes a loss of what a method compares."""

from gaia_ssl.models.heads.distill_head import DistillHead
from gaia_ssl.models.heads.relation_head import RelationHead

__all__ = ['DistillHead', 'RelationHead']
