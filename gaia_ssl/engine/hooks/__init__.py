"""Hooks of the training loop."""

from gaia_ssl.engine.hooks.atomic_checkpoint_hook import AtomicCheckpointHook
from gaia_ssl.engine.hooks.group_decay_hook import GroupDecayHook
from gaia_ssl.engine.hooks.sandwich_sampler_hook import SandwichSamplerHook
from gaia_ssl.engine.hooks.subnet_evaluation_hook import SubnetEvaluationHook
from gaia_ssl.engine.hooks.unreadable_images_hook import UnreadableImagesHook

__all__ = ['AtomicCheckpointHook', 'GroupDecayHook', 'SandwichSamplerHook', 'SubnetEvaluationHook', 'UnreadableImagesHook']
