"""What a training starts from, checked before any work."""

from __future__ import annotations

from typing import Any

from mmengine.config import Config
from torch import Tensor, nn

from gaia_ssl.engine.auto_settings import fill_from_checkpoint, fill_from_start
from gaia_ssl.engine.unwrap import unwrapped
from gaia_ssl.errors import UserError
from gaia_ssl.models.backbones.bottleneck_resnet import pretrained_checkpoint
from gaia_ssl.models.pretrained_checkpoint import read_pretrained
from gaia_ssl.models.pretrained_start import check_start
from gaia_ssl.space import ArchSpace
from gaia_ssl.space.arch_space import AUTO


def set_start(config: Config, start: str | None = None, checkpoint: dict[str, Any] | None = None) -> None:
    """Let the supernet of ``config`` start from a pretrained ResNet, and make its ``space='auto'`` the one inside that, and
    an ``'auto'`` frozen teacher that ResNet itself.

    Where weights are loaded over it, by ``load_from`` or in a resumed run, nothing pretrained is read.

    Args:
        config: Of a training.
        start: As in :func:`~gaia_ssl.models.pretrained_checkpoint.read_pretrained`; default: what ``model.backbone.init_cfg``
            of the config names, if anything.
        checkpoint: That of the config's ``load_from``.

    Raises:
        UserError: If it cannot be read or does not fit the config, or there is a ``load_from`` as well.
    """
    model = config.get('model', {})
    if pretrained_checkpoint(model.get('init_cfg')):
        raise UserError('model.init_cfg names a checkpoint; a pretrained ResNet goes into model.backbone.init_cfg or --start, '
                        "a supernet's checkpoint into load_from")
    if start is not None:
        if config.get('load_from'):
            raise UserError(f'--start {start} and load_from={config.load_from}: weights come from one of them; leave one out')
        model.backbone.init_cfg = dict(type='Pretrained', checkpoint=start)
    backbone = model.get('backbone', {})
    if checkpoint is not None:
        backbone.pop('init_cfg', None)
        fill_from_checkpoint(config, checkpoint, config.load_from)
        return
    path = pretrained_checkpoint(backbone.get('init_cfg'))
    pretrained = read_pretrained(path) if path is not None else None
    fill_from_start(config, pretrained)
    if pretrained is None:
        if 'space' in backbone:
            ArchSpace.read(backbone.space)  # refuses 'auto', which only a start can tell
        return
    if backbone.space == AUTO:
        backbone.space = ArchSpace.inside(pretrained.arch).to_dict()
    check_start(pretrained, ArchSpace.read(backbone.space).max, backbone.get('stem_kernel', 7))


def check_load_from(model: nn.Module, checkpoint: dict[str, Any], path: str) -> None:
    """Raise a UserError unless ``checkpoint``, of the file ``path``, holds exactly the weights of ``model``.

    mmengine loads those that fit and goes on with random ones for the rest.
    """
    expected = unwrapped(model).state_dict()
    state = checkpoint.get('state_dict', checkpoint)
    found = {str(name).removeprefix('module.'): value for name, value in state.items()}
    differing = {
        'missing': [name for name in expected if name not in found],
        'left over': [name for name in found if name not in expected],
        'of another shape or type': [name for name, value in expected.items()
                                     if name in found and not _alike(value, found[name])],
    }
    told = [f'{len(names)} are {kind} ({names[0]}{", …" if len(names) > 1 else ""})'
            for kind, names in differing.items() if names]
    if told:
        raise UserError(f"{path}: not a checkpoint of this config's supernet: of its weights {', '.join(told)}; for the "
                        f'backbone of a pretrained ResNet or of another supernet say --start {path}')


def _alike(expected: Tensor, found: Any) -> bool:
    """Whether ``found`` has the shape, and numbers of the kind, of ``expected``, in whatever precision."""
    return (isinstance(found, Tensor) and found.shape == expected.shape and found.layout == expected.layout
            and (found.is_floating_point(), found.is_complex()) == (expected.is_floating_point(), expected.is_complex()))
