"""DATA (CVPR 2022) for OpenMMLab: one self-supervised supernet, and from it the backbone for a task and a budget."""

from gaia_ssl.space import DATA_SPACE, Arch, ArchSpace

__version__ = '0.1.0'
__all__ = ['DATA_SPACE', 'Arch', 'ArchSpace', '__version__']
