"""The backbone of a config of any toolbox: found by running the model, not by its name."""

from __future__ import annotations

import dataclasses
from typing import Any

import torch
from mmengine.config import Config
from torch import Tensor, nn

from gaia_ssl.config_place import Place, place_name, places, type_name
from gaia_ssl.errors import UserError
from gaia_ssl.export.trial import SIZE, TrialError, build_model, toolbox_scope, training_loss


@dataclasses.dataclass(frozen=True)
class FoundBackbone:
    """What a config's model takes its features from.

    Attributes:
        place: In ``config.model``.
        module: Built from there.
        channels: Of each map that it puts out.
        sizes: Height and width of each, of square images of :data:`~gaia_ssl.export.trial.SIZE`.
    """

    place: Place
    module: nn.Module
    channels: tuple[int, ...]
    sizes: list[tuple[int, ...]]


def find_backbone(config: Config, toolbox: str, name: str) -> FoundBackbone:
    """Build and run the model of ``config``; the first module with a config of its own that gets the images is the backbone.

    Args:
        config: The user's, unchanged.
        toolbox: Whose it is.
        name: What to call it in errors.

    Raises:
        UserError: If the model does not run, none or several modules may be it, or it puts out no maps.
    """
    typed = [(place, node) for place, node in places(config.model) if place and isinstance(node, dict) and 'type' in node]
    takers: dict[nn.Module, Tensor] = {}

    def note(module: nn.Module, value: Any) -> None:
        if isinstance(value, Tensor) and value.shape[1:] == (3, SIZE, SIZE) and module in names and _places_of(typed, module):
            if not any(module in taker.modules() for taker in takers):
                takers[module] = value

    try:
        model = build_model(config, toolbox)
        names = {module: name for name, module in model.named_modules()}  # without teachers that a model hides from itself
        with torch.no_grad():
            training_loss(model, config, toolbox, note)
    except TrialError as error:
        does = 'cannot be built' if error.model is None else f'does not train on made-up images, at model.{error.where}'
        raise UserError(f'{name}: its own model, unchanged, {does.rstrip(".")} ({error}); give a config that runs') from error
    if not takers:
        raise UserError(f'{name}: no module of its model takes the images as a backbone does')
    if len(takers) > 1:
        which = ' and '.join(f'model.{names[module]}' for module in takers)
        raise UserError(f'{name}: {which} take the images, where one backbone can be replaced')
    (module, images), = takers.items()
    found = _places_of(typed, module)
    if len(found) > 1:
        found = [place for place in found if '.'.join(map(str, place)) == names[module]]
    if not found:
        raise UserError(f'{name}: several settings are of the type {type(module).__name__}, and none can be told to be that of '
                        f'model.{names[module]}')
    with torch.no_grad(), toolbox_scope(toolbox):
        maps = module(images)
    maps = [maps] if isinstance(maps, Tensor) else maps
    if not isinstance(maps, list | tuple) or not all(isinstance(each, Tensor) and each.dim() == 4 for each in maps):
        raise UserError(f'{name}: model.{place_name(found[0])}, a {type(module).__name__}, puts out no feature maps as a '
                        'ResNet does, so that none can take its place')
    sizes = [tuple(each.shape[-2:]) for each in maps]
    return FoundBackbone(found[0], module, tuple(each.shape[1] for each in maps), sizes)


def _places_of(typed: list[tuple[Place, dict]], module: nn.Module) -> list[Place]:
    """Where a config of the type of ``module`` is."""
    return [place for place, node in typed if type_name(node['type']) == type(module).__name__]
