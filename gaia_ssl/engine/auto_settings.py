"""What a training config leaves to the data: every ``'auto'`` in it becomes a number that suits how many images there are."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from mmengine.config import Config
from mmengine.registry import DATASETS, DefaultScope

from gaia_ssl.checkpoint import load_checkpoint
from gaia_ssl.errors import UserError
from gaia_ssl.models.algorithms.distill import SupernetDistill
from gaia_ssl.models.pretrained_checkpoint import PretrainedResNet as PretrainedCheckpoint
from gaia_ssl.models.pretrained_checkpoint import read_pretrained
from gaia_ssl.models.supernet_meta import check_supernet
from gaia_ssl.models.teachers import PretrainedResNet
from gaia_ssl.registry import MODELS
from gaia_ssl.space.arch_space import AUTO

EPOCHS = {True: ((1e3, 100), (1e4, 50), (1e5, 15), (1e6, 3)), False: ((1e3, 24), (1e4, 10), (1e5, 3), (1e6, 1))}
"""With a GPU or not: numbers of images and how often each is seen; in between by powers."""
BATCH_SIZE = {True: 128, False: 50}
LR = {True: 2e-3, False: 5e-4}
"""Of AdamW for distillation or another method, at a batch of 50 images in all."""
LARGEST_LR_FACTOR = 2.0
LARGEST_QUEUE = 65536
MANY_IMAGES = 100_000


def count_images(config: Config) -> int:
    """How many images the training of ``config`` has.

    Raises:
        UserError: If there are none.
    """
    with DefaultScope.overwrite_default_scope(config.get('default_scope')):
        return len(DATASETS.build({**config.train_dataloader.dataset, 'pipeline': []}))


def leaves_to_data(config: Config) -> bool:
    """Whether :func:`fill_auto` has anything to do."""
    return any(value == AUTO for _, _, value in _places(config))


def fill_auto(config: Config, images: int, processes: int = 1, gpu: bool = False) -> dict[str, Any]:
    """Replace each ``'auto'`` of batch size, epochs, schedule, learning rate, queue, momentum, temperature and log interval.

    What the config gives as a number stays, and the rest follows it. The learning rate grows with the root of the batch, as
    suits Adam (https://arxiv.org/abs/2205.10287), by 2 at most.

    Args:
        config: Of a training; changed in place.
        images: Their number.
        processes: That train together.
        gpu: Whether they do so on GPUs.

    Returns:
        What was filled in, by its place in the config.
    """
    given = {name: value for name, _, value in _places(config) if name in ('batch_size', 'epochs') and value != AUTO}
    values = suitable(images, processes, gpu, MODELS.get(config.model.type) is SupernetDistill, **given)
    filled = {}
    for name, key, value in list(_places(config)):
        if value == AUTO:
            config.merge_from_dict({key: values[name]})
            filled[key] = values[name]
    return filled


def suitable(images: int, processes: int, gpu: bool, distilled: bool, batch_size: int | None = None,
             epochs: int | None = None) -> dict[str, Any]:
    """The values of :func:`fill_auto` for so many images, by the names of :func:`_places`.

    Args:
        images: Their number.
        processes: That train together.
        gpu: Whether they do so on GPUs.
        distilled: Whether targets come from a frozen network, which bears a higher learning rate.
        batch_size: Of a process, if it is given.
        epochs: Of the training, if they are given.
    """
    if batch_size is None:
        batch_size = max(2, min(BATCH_SIZE[gpu], images // (8 * processes)))
    if epochs is None:
        at, times = np.log(np.array(EPOCHS[gpu])).T
        epochs = round(math.exp(np.interp(math.log(max(images, 1)), at, times)))
    total = batch_size * processes
    each = max(1, images // total)
    iterations = epochs * each
    return dict(
        batch_size=batch_size,
        total_batch=total,
        epochs=epochs,
        iterations=iterations,
        warmup=min(max(1, iterations // 20), 1000),
        lr=float(f'{LR[distilled] * min(max(1.0, math.sqrt(total / 50)), LARGEST_LR_FACTOR):.2g}'),
        queue_len=total * max(1, min(images // 2, LARGEST_QUEUE) // total),
        momentum=round(min(max(1 - 100 / iterations, 0.99), 0.999), 4),
        temperature=0.1 if images < MANY_IMAGES else 0.2,
        interval=max(1, min(100, each // 2)))


def fill_from_start(config: Config, start: PretrainedCheckpoint | None) -> None:
    """Let a teacher whose checkpoint is ``'auto'`` be the network that the supernet starts from; find its ``feat_dim='auto'``.

    Args:
        config: Of a training; changed in place.
        start: The network that its supernet starts from, if there is one.

    Raises:
        UserError: If there is no start, or the teacher is no ResNet, whose ``feat_dim`` has to be given.
    """
    model: Any = config.get('model', {})
    teacher: Any = model.get('teacher')
    if not isinstance(teacher, dict):
        return
    if teacher.get('checkpoint') == AUTO:
        if start is None:
            raise UserError("the teacher is 'auto', the network that the supernet starts from, and there is none; say --start "
                            'FILE, or model.teacher.checkpoint=FILE')
        teacher['checkpoint'] = start.path
    if model.get('feat_dim') == AUTO:
        if MODELS.get(teacher['type']) is not PretrainedResNet:
            raise UserError(f"feat_dim is 'auto', which only a PretrainedResNet tells, but the teacher is a {teacher['type']}; "
                            "set model.feat_dim to the length of the teacher's pooled feature")
        if start is None or teacher['checkpoint'] != start.path:
            start = read_pretrained(teacher['checkpoint'])
        model.feat_dim = start.arch.out_channels[-1]


def fill_from_checkpoint(config: Config, checkpoint: dict[str, Any], path: str) -> None:
    """Replace what is ``'auto'`` in the model by what the supernet in ``checkpoint``, of the file ``path``, has.

    Raises:
        UserError: If it is not a supernet's, or does not say which teacher it has.
    """
    if not _asks_checkpoint(config):
        return
    meta, state, model = check_supernet(checkpoint, path), checkpoint['state_dict'], config.model
    if model.backbone.get('space') == AUTO:
        model.backbone.space = meta['space'].to_dict()
    teacher = model.get('teacher')
    if isinstance(teacher, dict) and teacher.get('checkpoint') == AUTO:
        teacher['checkpoint'] = _teacher_checkpoint(checkpoint, path)
    for name, weight, dimension in (('queue_len', 'queue', 1), ('feat_dim', 'neck.fc.weight', 0)):
        if model.get(name) == AUTO and getattr(state.get(weight), 'ndim', 0) == 2:
            model[name] = state[weight].shape[dimension]


def settle_for_search(config: Config, path: str) -> None:
    """As :func:`fill_from_checkpoint`, which is read if need be; what only training needs gets a number that nobody reads."""
    if _asks_checkpoint(config):
        fill_from_checkpoint(config, load_checkpoint(path), path)
    fill_auto(config, images=1)


def _asks_checkpoint(config: Config) -> bool:
    model: Any = config.get('model', {})
    return AUTO in (model.get('queue_len'), model.get('feat_dim'),
                    *(part.get(name) for part, name in ((model.get('backbone'), 'space'), (model.get('teacher'), 'checkpoint'))
                      if isinstance(part, dict)))


def _teacher_checkpoint(checkpoint: dict[str, Any], path: str) -> str:
    described = checkpoint['meta']['gaia_ssl'].get('teacher')
    config = described.get('config') if isinstance(described, dict) else None
    if not isinstance(config, dict) or not isinstance(config.get('checkpoint'), str):
        raise UserError(f'{path}: does not say which frozen teacher it has; say --cfg-options model.teacher.checkpoint=FILE')
    return config['checkpoint']


def _places(config: Config) -> Iterator[tuple[str, str, Any]]:
    """Name, key and value of each setting that may be ``'auto'`` and is there."""
    keys = {
        'batch_size': ['train_dataloader.batch_size'],
        'total_batch': ['auto_scale_lr.base_batch_size'],
        'epochs': ['train_cfg.max_epochs'],
        'lr': ['optim_wrapper.optimizer.lr'],
        'queue_len': ['model.queue_len'],
        'momentum': ['model.teacher_momentum'],
        'temperature': ['model.head.temperature'],
        'interval': ['default_hooks.logger.interval'],
        'warmup': [f'param_scheduler.{index}.{name}' for index, scheduler in enumerate(config.get('param_scheduler') or [])
                   for name in (['end'] if scheduler.type == 'LinearLR' else ['begin'])],
        'iterations': [f'param_scheduler.{index}.end' for index, scheduler in enumerate(config.get('param_scheduler') or [])
                       if scheduler.type != 'LinearLR'],
    }
    for name, found in keys.items():
        for key in found:
            node: Any = config
            for part in key.split('.'):
                node = node[int(part)] if isinstance(node, list) else (node or {}).get(part)
            if node is not None:
                yield name, key, node
