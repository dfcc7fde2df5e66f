"""Puts the archs of each step on the model, and the supernet's description into its checkpoints."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import Runner

from gaia_ssl.datasets.image_folder import seeded_generators
from gaia_ssl.engine.hooks.supernet_of import supernet_of
from gaia_ssl.engine.training_images import images_of
from gaia_ssl.engine.unwrap import unwrapped
from gaia_ssl.errors import UserError
from gaia_ssl.models.algorithms import Supernet
from gaia_ssl.models.supernet_meta import supernet_meta
from gaia_ssl.registry import HOOKS
from gaia_ssl.space import SandwichSampler
from gaia_ssl.space.sampler import PARTS


@HOOKS.register_module()
class SandwichSamplerHook(Hook):
    """Draws the sandwich of each iteration, keyed by the run's seed and the iteration.

    Args:
        sandwich: The archs of a step: ``'random+random+max'`` as in the paper, ``'min+random+max'``, or ``'max'`` alone: the
            plain method on the max arch.
        weights: Of the losses of ``min``, ``random`` (of each such arch) and ``max`` in their sum; 1 where it says nothing.
            SlimCLR (https://arxiv.org/abs/2209.15525) gives the max arch 2.5, as much as all four of its widths together.
        slow_start, phases: See :class:`gaia_ssl.space.SandwichSampler`.

    Raises:
        UserError: If a weight is of no part of a sandwich, or not above 0.
    """

    priority = 'NORMAL'

    def __init__(self, sandwich: str = 'random+random+max', weights: Mapping[str, float] | None = None, slow_start: float = 0.,
                 phases: int = 1) -> None:
        self.weights = dict(weights or {})
        if not set(self.weights) <= set(PARTS) or not all(0 < weight < math.inf for weight in self.weights.values()):
            raise UserError(f"weights is {self.weights}; give {', '.join(PARTS)} numbers above 0, e.g. dict(max=2.5)")
        self.settings: dict[str, Any] = dict(sandwich=sandwich, slow_start=slow_start, phases=phases)

    def before_train(self, runner: Runner) -> None:
        model = supernet_of(runner, self)
        self.sampler = SandwichSampler(model.backbone.space, seed=runner.seed, **self.settings)
        check_training(runner)

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: dict | None = None) -> None:
        progress = runner.iter / runner.max_iters
        archs = self.sampler.sample(runner.iter, progress)
        weights = {name: self.weights.get(name.partition('_')[0], 1.) for name in archs}
        supernet_of(runner, self).set_sandwich(runner.iter, archs, progress, weights)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        broken = [name for name, value in checkpoint['state_dict'].items() if not value.isfinite().all()]
        if broken:
            raise UserError(f'not saved at iteration {runner.iter}: {broken[0]} and {len(broken) - 1} more are not finite; '
                            'lower the learning rate or clip gradients, and --resume from the last checkpoint')
        checkpoint['meta']['gaia_ssl'] = supernet_meta(supernet_of(runner, self)) | images_of(runner)


def check_training(runner: Runner) -> None:
    """Raise a UserError if the data do not fill one batch, or what the method needs beside its weights does not suit."""
    check_batch_size(runner)
    model = unwrapped(runner.model)
    loader = runner.train_dataloader

    def example() -> Any:
        with seeded_generators(0):
            return loader.collate_fn([loader.dataset[0]])

    if isinstance(model, Supernet):
        model.prepare_training(example)


def check_batch_size(runner: Runner) -> None:
    """Raise a UserError if the data do not fill one batch. (mmengine's schedulers would fail on an empty epoch first.)"""
    dataset, batch_size = runner.train_dataloader.dataset, runner.train_dataloader.batch_size
    if batch_size and batch_size * runner.world_size > len(dataset):
        raise UserError(f'a batch of {batch_size} on {runner.world_size} processes is larger than the data of '
                        f'{len(dataset)} images; lower train_dataloader.batch_size or add images')
