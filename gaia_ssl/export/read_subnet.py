"""One subnet, from either kind of checkpoint."""

from __future__ import annotations

from typing import Any

from gaia_ssl.checkpoint import load_checkpoint
from gaia_ssl.errors import UserError
from gaia_ssl.models import SubnetResNet, extract_subnet
from gaia_ssl.models.checkpoint_values import check_described, check_size, check_weights
from gaia_ssl.models.supernet_meta import in_channels_of, read_supernet_meta, student_backbone
from gaia_ssl.space import Arch

_KEYS = ('arch', 'stem_kernel', 'mean', 'std', 'to_rgb')
_OPTIONAL = ('method', 'resolution', 'pixel_range')


def read_subnet(path: str, arch: Arch | None = None) -> tuple[SubnetResNet, dict[str, Any]]:
    """The subnet in an exported ``backbone.pth``, or a subnet of a supernet's checkpoint, in eval mode.

    The batch norms of the latter are not yet calibrated.

    Args:
        path: The checkpoint.
        arch: Which subnet; default the one in the file, or the supernet's largest.

    Returns:
        The network and what an exported file says of itself: ``arch``, ``stem_kernel``, ``mean``, ``std``, ``to_rgb``, ...

    Raises:
        UserError: If the file is neither, or holds another arch or none as large.
    """
    checkpoint = load_checkpoint(path)
    meta = checkpoint.get('meta', {}).get('gaia_ssl')
    if isinstance(meta, dict) and 'arch' in meta:
        return _read_exported(path, checkpoint, arch), meta
    described = read_supernet_meta(checkpoint, path)
    arch = arch or described['space'].max
    subnet = extract_subnet(student_backbone(checkpoint, path), arch)
    return subnet, {**described, 'space': described['space'].to_dict(), 'arch': str(arch)}


def _read_exported(path: str, checkpoint: dict[str, Any], arch: Arch | None) -> SubnetResNet:
    meta, state = checkpoint['meta']['gaia_ssl'], checkpoint.get('state_dict', {})
    check_described(meta, (*_KEYS, *(name for name in _OPTIONAL if name in meta)), path)
    try:
        held = Arch.parse(meta['arch'])
    except UserError as error:
        raise UserError(f'{path}: {error}') from error
    check_weights(state, path)
    check_size(held, meta['stem_kernel'], in_channels_of(meta), state, path)
    if arch is not None and str(arch) != meta['arch']:
        raise UserError(f"{path}: holds the backbone {meta['arch']}, but --arch is {arch}; leave --arch out")
    subnet = SubnetResNet(meta['arch'], stem_kernel=meta['stem_kernel'], in_channels=in_channels_of(meta))
    subnet.load_backbone(path)
    return subnet.eval()
