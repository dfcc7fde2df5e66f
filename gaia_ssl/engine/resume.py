"""Whether a training can go on from a checkpoint, found out before any work."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from mmengine.logging import HistoryBuffer
from mmengine.runner import Runner
from torch import Tensor

from gaia_ssl.engine.accumulation import KEY, counts_of
from gaia_ssl.engine.unwrap import unwrapped
from gaia_ssl.errors import UserError
from gaia_ssl.models.supernet_meta import check_supernet, supernet_meta
from gaia_ssl.terminal import one_line

_HUB = ('log_scalars', 'runtime_info', 'resumed_keys')
_MOST = 2**53
"""Bound of counts, which are numbers in JSON as well."""
_OF_ITS_SHAPE = {'momentum_buffer', 'exp_avg', 'exp_avg_sq', 'max_exp_avg_sq', 'exp_inf', 'square_avg', 'grad_avg', 'acc_delta',
                 'sum'}
"""What optimizers that have it keep in the shape of each parameter. Others are as long as the optimizer wants (Adafactor)."""


def check_resume(checkpoint: Mapping[str, Any], path: str) -> None:
    """Raise a UserError unless ``checkpoint``, of the file ``path``, has what mmengine takes of the run that wrote it."""
    meta = checkpoint.get('meta', {})
    if 'epoch' not in meta and 'iter' not in meta or 'state_dict' not in checkpoint:
        raise UserError(f'{path}: holds no run to go on with, only weights; --resume takes what gaia-ssl train wrote, and '
                        'load_from=FILE begins a run with the weights of a supernet')
    for name, bound in (('epoch', _MOST), ('iter', _MOST), ('seed', 2**32 - 1)):
        value = meta.get(name)
        if not (type(value) is int and 0 <= value <= bound or name == 'seed' and value is None):
            raise _broken(path, f'its {name} is {_shown(value)}')
    if not _is_hub(checkpoint.get('message_hub')):
        raise _broken(path, 'its message_hub, the log so far, is none')
    for name, missing in (('optimizer', 'the state of the optimizer'), ('param_schedulers', 'the state of the schedules')):
        if name not in checkpoint:
            raise UserError(f'{path}: was saved without {missing}, so that a run resumed from it would be another one; '
                            f'load_from={path} begins a new one with its weights')


def check_resumed_run(runner: Runner, checkpoint: Mapping[str, Any], path: str) -> None:
    """Raise a UserError unless the run that wrote ``checkpoint``, of the file ``path``, is the one that ``runner`` would do.

    Which has the same method, space, images' normalisation, optimizer and schedules, and is no shorter.
    """
    _check_supernet(runner, dict(checkpoint), path)
    meta = checkpoint['meta']
    if meta['iter'] > runner.max_iters or meta['epoch'] > runner.max_epochs:
        raise UserError(f"{path}: is of iteration {meta['iter']}, epoch {meta['epoch']}, but the config ends at iteration "
                        f'{runner.max_iters}, epoch {runner.max_epochs}; resume with the config and data it was trained with')
    own_wrapper, own_schedules = runner.optim_wrapper, runner.param_schedulers
    try:
        runner.optim_wrapper = runner.build_optim_wrapper(copy.deepcopy(own_wrapper))
        schedules = runner.build_param_scheduler(copy.deepcopy(own_schedules)) if own_schedules is not None else []
        _check_schedules([schedule.state_dict() for schedule in schedules], checkpoint['param_schedulers'], path)
        _check_optimizer(runner, checkpoint['optimizer'], meta['iter'], path)
        _check_accumulation(runner, checkpoint, path)
    finally:
        runner.optim_wrapper, runner.param_schedulers = own_wrapper, own_schedules


def _check_schedules(own: list[dict], found: Any, path: str) -> None:
    if told := _difference(own, found, 'param_schedulers'):
        raise UserError(f'{path}: was trained with other schedules ({told}); resume with the config it was trained with')


def _check_supernet(runner: Runner, checkpoint: dict[str, Any], path: str) -> None:
    there = check_supernet(checkpoint, path)
    model = unwrapped(runner.model)
    here = supernet_meta(model)
    here['space'] = model.backbone.space
    for name, value in here.items():
        if name in there and there[name] != value:
            shown = [f'{each.min} … {each.max} of {len(each)} archs' if name == 'space' else each
                     for each in (there[name], value)]
            raise UserError(f'{path}: was trained with the {name} {shown[0]}, but the config has {shown[1]}; resume with the '
                            f'config it was trained with, or begin a new run')


def _check_optimizer(runner: Runner, found: Any, iteration: int, path: str) -> None:
    own = runner.optim_wrapper.state_dict()
    if not isinstance(found, dict) or not isinstance(found.get('state'), dict):
        raise _broken(path, f'its optimizer is {_shown(found)}')
    groups, theirs = own['param_groups'], found.get('param_groups')
    told = _difference(groups, theirs, 'param_groups')
    if told or any(mine['params'] != their['params'] for mine, their in zip(groups, theirs or (), strict=True)):
        raise UserError(f'{path}: was trained with another optimizer ({told or "of other parameters"}); resume with the config '
                        'it was trained with, or begin a new run')
    for name in found.keys() - {'state', 'param_groups'}:
        if name in own and (told := _difference(own[name], found[name], name)):
            raise _broken(path, f'of its optimizer {told}')
    keeps_state = any(group.get('momentum', 1) for group in groups)
    if keeps_state and not found['state'] and iteration >= counts_of(runner.optim_wrapper):
        raise UserError(f"{path}: its optimizer has no state, so that a run resumed from it would be another one; "
                        f'load_from={path} begins a new one with its weights')
    _check_state(found['state'], [parameter.shape for group in runner.optim_wrapper.param_groups
                                  for parameter in group['params']], path)


def _check_state(state: dict[Any, Any], shapes: list[torch.Size], path: str) -> None:
    """What an optimizer keeps of each parameter, of these shapes: finite numbers, and nothing is missing from an entry."""
    for index, values in state.items():
        if type(index) is not int or not 0 <= index < len(shapes) or not isinstance(values, dict):
            raise _broken(path, f'the state of its optimizer has an entry {_shown(index)} unlike the others')
        for name, value in values.items():
            if not _is_finite(value) or name in _OF_ITS_SHAPE and value is not None and (
                    getattr(value, 'shape', None) != shapes[index]):
                raise _broken(path, f'the {_shown(name)} of its optimizer does not fit parameter {index}')
    kinds = {frozenset(values) for values in state.values()}
    for index, values in state.items():
        # Adafactor keeps of a bias other things than of a matrix, but nothing less.
        if any(kind > values.keys() and _OF_ITS_SHAPE & (kind - values.keys()) for kind in kinds):
            raise _broken(path, f'the state of its optimizer has an entry {index} with less than others have')


def _check_accumulation(runner: Runner, checkpoint: Mapping[str, Any], path: str) -> None:
    counts, entry, iteration = counts_of(runner.optim_wrapper), checkpoint.get(KEY), checkpoint['meta']['iter']
    if entry is None:
        if iteration % counts:
            raise UserError(f'{path}: was saved amid an optimizer step, of {counts} iterations, without its gradients; resume '
                            f'from a checkpoint whose iteration {counts} divides')
        return
    shapes = {name: value.shape for name, value in unwrapped(runner.model).named_parameters()}
    if not isinstance(entry, dict) or not isinstance(entry.get('gradients'), dict):
        raise _broken(path, f'its {KEY} is {_shown(entry)}')
    for name, value in entry['gradients'].items():
        if not isinstance(value, Tensor) or not value.is_floating_point() or name not in shapes or not len(value.shape) or (
                value.shape[1:] != shapes[name] or not len(value)):
            raise _broken(path, f'the gradient of {_shown(name)} does not fit')
    if entry['gradients'] and entry.get('counts') != counts:
        raise UserError(f"{path}: was saved amid an optimizer step of {_shown(entry.get('counts'))} iterations, and the config "
                        f'has {counts}; resume with the config it was trained with')


def _difference(own: Any, found: Any, place: str) -> str:
    """In what nested plain values, or tensors, differ beyond the size of their numbers; empty if in nothing."""
    if isinstance(own, dict) and isinstance(found, dict):
        # Of what newer versions of torch have added, the default is as it was. Some optimizers (Lamb) count a group's steps.
        missing = [key for key in own if key not in found and not isinstance(own[key], bool | type(None))]
        further = [key for key in found if key not in own and not isinstance(found[key], bool | type(None)) and not (
            key == 'step' and _is_number(found[key]))]
        if missing or further:
            return f'{place} has no {_shown(missing[0])}' if missing else f'{place} has {_shown(further[0])}'
        pairs = [(own[key], found[key], f'{place}.{key}') for key in own if key in found]
    elif isinstance(own, list | tuple) and isinstance(found, list | tuple):
        if len(own) != len(found):
            return f'{place} has {len(found)} entries in place of {len(own)}'
        pairs = [(mine, their, place) for mine, their in zip(own, found, strict=True)]
    elif isinstance(own, Tensor) and isinstance(found, Tensor):
        return '' if own.shape == found.shape else f'{place} has another shape'
    else:
        same = (_is_number(found) and _is_number(own) or type(found) is type(own) and not isinstance(found, float)
                or own is None and (isinstance(found, bool) or _is_number(found)))
        return '' if same else f'{place} is {_shown(found)}'
    return next(filter(None, (_difference(*pair) for pair in pairs)), '')


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value) and abs(value) <= _MOST


def _is_finite(value: Any) -> bool:
    """Whether it is a real tensor, a number, None or a truth value, or has only such in it; none of them infinite."""
    if isinstance(value, Tensor):
        return not value.is_complex() and bool(value.isfinite().all())
    if isinstance(value, dict | list | tuple):
        return all(map(_is_finite, value.values() if isinstance(value, dict) else value))
    return value is None or isinstance(value, bool) or _is_number(value)


def _is_hub(value: Any) -> bool:
    if not isinstance(value, dict) or not all(isinstance(value.get(name), dict) for name in _HUB):
        return False
    return all(isinstance(buffer, HistoryBuffer) and _is_history(buffer) for buffer in value['log_scalars'].values()) and all(
        isinstance(key, str) for name in _HUB for key in value[name])


def _is_history(buffer: HistoryBuffer) -> bool:
    arrays = [vars(buffer).get(name) for name in ('_log_history', '_count_history')]
    return all(isinstance(array, np.ndarray) and array.ndim == 1 and array.dtype.kind in 'iuf' for array in arrays) and (
        type(vars(buffer).get('max_length')) is int) and len(arrays[0]) == len(arrays[1])


def _shown(value: Any) -> str:
    return one_line(str(value))[:80] if isinstance(value, str | int | float) and value != '' else (
        'empty' if value == '' else f'a {type(value).__name__}')


def _broken(path: str, what: str) -> UserError:
    return UserError(f'{path}: cannot be resumed: {what}; take the checkpoint as gaia-ssl train wrote it')
