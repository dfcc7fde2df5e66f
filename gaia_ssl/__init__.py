"""DATA (CVPR 2022) for OpenMMLab: one self-supervised supernet, and from it the backbone for a task and a budget."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gaia_ssl.space import DATA_SPACE, Arch, ArchSpace

__version__ = '0.1.0'
__all__ = ['DATA_SPACE', 'Arch', 'ArchSpace', '__version__']


def __getattr__(name: str) -> object:
    """NumPy is imported when it is first needed: ``gaia-ssl doctor`` examines environments where it is broken."""
    if name not in __all__:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    from gaia_ssl import space
    return getattr(space, name)
