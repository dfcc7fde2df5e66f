"""The numbers of channels in a config, fitted to its backbone by following the shapes.

The model is built and run. Where a layer gets another number of channels than it was made for, the setting is looked for that
decides it: the one by which, doubled, the layer is made for twice as many. No setting is known by its name. A list of the old
backbone's numbers of channels changes as a whole.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.conv import _ConvNd

from gaia_ssl.config_place import Place, place_name, places, value_at, with_value
from gaia_ssl.errors import UserError
from gaia_ssl.export.trial import TrialError, build_model, toolbox_scope, training_loss

MOST = 64
"""Settings to change at most; the largest models of the toolboxes have a dozen."""


def fit_channels(config: Config, toolbox: str, backbone: Place, channels: dict[int, int], name: str,
                 report: Callable[[str], None]) -> None:
    """Change in ``config.model`` what has to follow the features of its backbone, until the model runs forward and backward.

    Args:
        config: With the new backbone in it, without weights to load; it is changed.
        toolbox: Whose it is.
        backbone: Place of the backbone.
        channels: Of each map of the old backbone, where no two have as many: the new one's.
        name: What to call the config in errors.
        report: Is told each change.

    Raises:
        UserError: If a module cannot be fitted, with its name, or no gradient comes to the backbone.
    """
    for _ in range(MOST):
        try:
            model = build_model(config, toolbox)
            loss = training_loss(model, config, toolbox)
            break
        except TrialError as error:
            layer, old, new = _misfit(error, name)
            place = _setting(config, toolbox, backbone, layer, old)
            if place is None:
                raise UserError(f'{name}: model.{layer} takes {old} channels, here are {new}, and no setting of the config '
                                'decides it; this module cannot be fitted') from error
            place, value = _whole(config.model, place, new, channels)
            report(f'model.{place_name(place)}: {value_at(config.model, place)} -> {value}')
            config.model = with_value(config.model, place, value)
    else:
        raise UserError(f'{name}: does not fit after {MOST} changes; the last was at model.{layer}')
    try:
        loss.backward()
    except RuntimeError as error:
        raise UserError(f'{name}: its model runs forward, not backward ({str(error)[:200]})') from error
    net = model.get_submodule('.'.join(map(str, backbone)))
    learning = [value for value in net.parameters() if value.requires_grad]
    if learning and not any(value.grad is not None and value.grad.abs().sum() > 0 for value in learning):
        raise UserError(f'{name}: no gradient comes to model.{place_name(backbone)}')
    _check_optimizer(model, config, toolbox, name)


def _whole(model: Any, place: Place, new: int, channels: dict[int, int]) -> tuple[Place, Any]:
    """Where a list of the old backbone's channels is that holds ``place``, and the new ones; else ``place`` and ``new``."""
    listed = value_at(model, place[:-1])
    if isinstance(listed, list | tuple) and all(isinstance(number, int) and number in channels for number in listed):
        return place[:-1], type(listed)(channels[number] for number in listed)
    return place, new


def _check_optimizer(model: nn.Module, config: Config, toolbox: str, name: str) -> None:
    """What deals the parameters out to an optimizer may know the old backbone alone."""
    wrapper = config.get('optim_wrapper', {})
    parts = {part: copy.deepcopy(wrapper[part]) for part in ('constructor', 'optimizer', 'paramwise_cfg') if part in wrapper}
    if 'optimizer' not in parts:
        return
    try:
        with toolbox_scope(toolbox):
            build_optim_wrapper(model, dict(type='OptimWrapper', **parts))
    except Exception as error:  # whatever a constructor raises
        which = parts.get('constructor', parts['optimizer']['type'])
        raise UserError(f'{name}: its optim_wrapper ({which}) does not take the new backbone ({type(error).__name__}: '
                        f'{str(error)[:200]}); give it one that does') from error


def _misfit(error: TrialError, name: str) -> tuple[str, int, int]:
    """The layer that ended the trial: its name, the channels that it takes, and those that it got."""
    if error.model is not None and error.called is not None:
        layer, value = error.called
        taken = _channels(error.model.get_submodule(layer))
        if taken is not None and isinstance(value, Tensor) and value.shape[taken[1]] != taken[0]:
            return layer, taken[0], value.shape[taken[1]]
    where = f'model.{error.where}' if error.where else 'its model'
    raise UserError(f'{name}: {where} cannot be fitted to the new backbone ({error})') from error


def _channels(layer: nn.Module) -> tuple[int, int] | None:
    """How many channels a layer is made for, and which dimension of its input holds them; None of a module of another kind."""
    if isinstance(layer, _ConvNd):
        return layer.in_channels, 1
    if isinstance(layer, nn.Linear):
        return layer.in_features, -1
    if isinstance(layer, _NormBase):
        return layer.num_features, 1
    if isinstance(layer, nn.GroupNorm):
        return layer.num_channels, 1
    if isinstance(layer, nn.LayerNorm):
        return layer.normalized_shape[-1], -1
    return None


def _setting(config: Config, toolbox: str, backbone: Place, layer: str, old: int) -> Place | None:
    """Where in ``config.model`` the number is that decides how many channels ``layer`` takes; None if it is not there."""
    for place in sorted(_numbers(config.model, backbone, old), key=lambda place: -_shared(place, layer)):
        changed = copy.deepcopy(config)
        changed.model = with_value(changed.model, place, 2 * old)
        for device in ('meta', 'cpu'):  # where a constructor computes with values, which meta tensors have not
            try:
                model = build_model(changed, toolbox, device)
            except TrialError:
                continue
            taken = _channels(model.get_submodule(layer)) if layer in dict(model.named_modules()) else None
            if taken is not None and taken[0] == 2 * old:
                return place
            break
    return None


def _numbers(model: Any, backbone: Place, value: int) -> Iterator[Place]:
    return (place for place, number in places(model)
            if type(number) is int and number == value and place[:len(backbone)] != backbone)


def _shared(place: Place, layer: str) -> int:
    """How far ``place`` leads the way to ``layer``: such settings are tried first."""
    count = 0
    for key, part in zip(place, layer.split('.'), strict=False):
        if str(key) != part:
            break
        count += 1
    return count
