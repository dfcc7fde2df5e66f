"""Puts the archs of each step on the model, and the supernet's description into its checkpoints."""

from __future__ import annotations

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


@HOOKS.register_module()
class SandwichSamplerHook(Hook):
    """Draws the sandwich of each iteration, keyed by the run's seed and the iteration.

    Args:
        sandwich: The archs of a step: ``'random+random+max'`` as in the paper, ``'min+random+max'``, or ``'max'`` alone: the
            plain method on the max arch.
    """

    priority = 'NORMAL'

    def __init__(self, sandwich: str = 'random+random+max') -> None:
        self.sandwich = sandwich

    def before_train(self, runner: Runner) -> None:
        model = supernet_of(runner, self)
        self.sampler = SandwichSampler(model.backbone.space, self.sandwich, runner.seed)
        check_training(runner)

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: dict | None = None) -> None:
        archs = self.sampler.sample(runner.iter)
        supernet_of(runner, self).set_sandwich(runner.iter, archs, progress=runner.iter / runner.max_iters)

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
