"""An exported backbone in any config of mmdet, mmseg or mmpretrain."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import os
from collections.abc import Callable
from typing import Any

import torch
from mmcv.cnn import build_norm_layer
from mmengine.config import Config, ConfigDict
from torch.nn.modules.batchnorm import _BatchNorm

from gaia_ssl.config_file import check_config
from gaia_ssl.config_place import place_name, value_at, with_value
from gaia_ssl.errors import UserError
from gaia_ssl.export.backbone_config import backbone_config
from gaia_ssl.export.fit_channels import fit_channels
from gaia_ssl.export.found_backbone import FoundBackbone, find_backbone
from gaia_ssl.export.toolbox import PACKAGES
from gaia_ssl.export.trial import SIZE
from gaia_ssl.models import SubnetResNet
from gaia_ssl.models.backbones.bottleneck_resnet import BottleneckResNet
from gaia_ssl.models.supernet_meta import in_channels_of
from gaia_ssl.space import Arch
from gaia_ssl.terminal import say

PREFIX = 'into_'
"""Of the files that are written."""
STRIDES = (4, 8, 16, 32)
"""Of C2 to C5."""
_OF_RESNETS = ('num_stages', 'out_indices', 'strides', 'dilations', 'contract_dilation', 'frozen_stages')
_OF_ALL = ('norm_eval', 'with_cp')
"""Arguments that the toolboxes' backbones have in common with ours, by the same names."""
_DEFAULTS = {name: parameter.default for name, parameter in inspect.signature(BottleneckResNet).parameters.items()}
"""Of our arguments."""
_ANY_CHANNELS = 1024
"""Which any number of groups divides."""


@dataclasses.dataclass(frozen=True)
class IntoConfig:
    """A user's config that is to get the backbone.

    Attributes:
        source: The file, or ``PACKAGE::NAME``, for messages.
        config: What it holds.
        report: Where lines for the user go.
    """

    source: str
    config: Config
    report: Callable[[str], None] = say

    def __post_init__(self) -> None:
        if self.toolbox not in PACKAGES or 'model' not in self.config:
            raise UserError(f"{self.source}: not a config of a model of {', '.join(PACKAGES)} (its default_scope is "
                            f'{self.toolbox})')

    @property
    def name(self) -> str:
        """Of the file to write, without suffix."""
        return PREFIX + os.path.splitext(os.path.basename(self.source))[0]

    @property
    def toolbox(self) -> str | None:
        """Whose tools run it."""
        return self.config.get('default_scope')

    def fill(self, checkpoint: str | os.PathLike, meta: dict) -> Config:
        """The config with the backbone in ``checkpoint`` in place of its own, all else fitted to that or left as it is.

        Args:
            checkpoint: The exported ``backbone.pth``; it need not be there yet.
            meta: What that file says of itself.

        Raises:
            UserError: If the config does not run before or after the change, or cannot be written.
        """
        assert self.toolbox is not None
        if 'pixel_range' in meta:
            raise UserError(f"the backbone {meta['arch']} takes images of {in_channels_of(meta)} channels by a range of "
                            'pixels, which --into does not put into pipelines; take --for, or export it without --into')
        config = copy.deepcopy(self.config)
        found = find_backbone(config, self.toolbox, self.source)
        old = value_at(config.model, found.place)
        settings = _settings(found, old, meta, self)
        where = place_name(found.place)
        kept = f', with {_words(settings)}' if settings else ''
        self.report(f'{self.source}: model.{where}, a {type(found.module).__name__}, becomes {meta["arch"]}{kept}')
        channels = Arch.parse(meta['arch']).out_channels
        follow = dict(zip(found.channels, (channels[index] for index in _stages(settings)), strict=True))
        if len(follow) < len(found.channels):  # maps that their numbers do not tell apart
            follow = {}
        if gone := sorted(set(old) - {'type', 'init_cfg', 'norm_cfg', *_OF_ALL, *_OF_RESNETS}):
            self.report(f'gone with that: {_words({name: old[name] for name in gone})}')
        new = backbone_config(checkpoint, meta, **settings)
        bare = {name: value for name, value in new.items() if name != 'init_cfg'}
        config.model = with_value(config.model, found.place, ConfigDict(bare))
        _forget_pretrained(config, self.report)
        _set_normalisation(config, meta, self)
        fit_channels(config, self.toolbox, found.place, follow, self.source, self.report)
        config.model = with_value(config.model, found.place, ConfigDict(new))
        check_config(config)
        return config


def _settings(found: FoundBackbone, old: dict, meta: dict, into: IntoConfig) -> dict[str, Any]:
    """Arguments of ours such that it puts out maps of the sizes of the old one's."""
    module = found.module
    what = f'{into.source}: model.{place_name(found.place)}, a {type(module).__name__},'
    settings = {name: getattr(module, name) for name in _OF_ALL if isinstance(getattr(module, name, None), bool)}
    settings |= _norm(getattr(module, 'norm_cfg', None) or old.get('norm_cfg'))
    if hasattr(module, 'strides') and hasattr(module, 'dilations') and hasattr(module, 'num_stages'):
        settings |= {name: getattr(module, name) for name in _OF_RESNETS if hasattr(module, name)}
    else:
        strides = [SIZE // width for _, width in found.sizes]
        if len(set(strides)) < len(strides) or not set(strides) <= set(STRIDES):
            raise UserError(f'{what} has maps of the strides {_numbers(strides)}; a ResNet that is not dilated has '
                            f'{_numbers(STRIDES)}')
        settings['out_indices'] = tuple(map(STRIDES.index, strides))
    settings = {name: tuple(value) if isinstance(value, list | range) else value for name, value in settings.items()}
    settings = {name: value for name, value in settings.items() if value != _DEFAULTS[name]}
    sizes = _sizes(settings, meta)
    if sizes != found.sizes and (into.toolbox != 'mmpretrain' or len(sizes) != len(found.sizes)):
        there, here = (_numbers(width for _, width in each) for each in (found.sizes, sizes))
        raise UserError(f'{what} makes of {SIZE} px maps of {there} px; the backbone {meta["arch"]} with the '
                        f'{meta["stem_kernel"]}x{meta["stem_kernel"]} stem makes {here} px')
    return settings


def _stages(settings: dict[str, Any]) -> tuple[int, ...]:
    """Which stages put out a map."""
    return settings.get('out_indices', tuple(range(settings.get('num_stages', 4))))


def _norm(norm_cfg: dict | None) -> dict[str, dict]:
    """Its ``norm_cfg``, where that is a batch norm; with the epsilon of ours, for which the weights are."""
    if norm_cfg is None or not isinstance(build_norm_layer(dict(norm_cfg), _ANY_CHANNELS)[1], _BatchNorm):
        return {}
    return dict(norm_cfg={name: value for name, value in norm_cfg.items() if name != 'eps'})


def _sizes(settings: dict[str, Any], meta: dict) -> list[tuple[int, ...]]:
    settings = {name: value for name, value in settings.items() if name != 'norm_cfg'}
    with torch.device('meta'), torch.no_grad():
        net = SubnetResNet(meta['arch'], stem_kernel=meta['stem_kernel'], **settings).eval()
        return [tuple(each.shape[-2:]) for each in net(torch.empty(1, 3, SIZE, SIZE))]


def _forget_pretrained(config: Config, report: Callable[[str], None]) -> None:
    """No weights of the old backbone are loaded, neither into it nor with those of a whole model."""
    holders = (('model.', config.model, ('pretrained', 'init_cfg')), ('', config, ('load_from', )))
    for where, holder, names in holders:
        for name in names:
            if (value := holder.get(name)) and (name != 'init_cfg' or 'Pretrained' in str(value)):
                holder.pop(name)
                report(f'gone with the old weights: {where}{name}={value!r}')


def _set_normalisation(config: Config, meta: dict, into: IntoConfig) -> None:
    """Mean, standard deviation and order of the channels become the supernet's, in every data preprocessor."""
    preprocessors = []
    if into.toolbox == 'mmpretrain' and 'data_preprocessor' not in config.model:
        config.setdefault('data_preprocessor', ConfigDict())  # mmpretrain's own, which normalises nothing
    todo = [holder.data_preprocessor for holder in (config, config.model) if holder.get('data_preprocessor') is not None]
    while todo:
        each = todo.pop()
        if each.get('data_preprocessor'):  # one that wraps another
            todo.append(each.data_preprocessor)
        else:
            preprocessors.append(each)
    if not preprocessors:
        raise UserError(f'{into.source}: has no data_preprocessor to normalise images as the supernet does')
    for each in preprocessors:
        each.pop('rgb_to_bgr', None)
        order = 'to_rgb' if into.toolbox == 'mmpretrain' else 'bgr_to_rgb'
        each.update({'mean': meta['mean'], 'std': meta['std'], order: meta['to_rgb']})


def _numbers(values: Any) -> str:
    return ' '.join(map(str, values))


def _words(settings: dict[str, Any]) -> str:
    return ', '.join(f'{name}={value!r}' for name, value in settings.items())
