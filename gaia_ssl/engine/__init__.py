"""mmengine's view: thin hooks, loops and wrappers that call the floors below."""

from gaia_ssl.engine.hooks import (
    AtomicCheckpointHook,
    GroupDecayHook,
    SandwichSamplerHook,
    SubnetEvaluationHook,
    UnreadableImagesHook,
)
from gaia_ssl.engine.loops import TaskAwareSearchLoop
from gaia_ssl.engine.optim import AutocastOptimWrapper

__all__ = [
    'AtomicCheckpointHook', 'AutocastOptimWrapper', 'GroupDecayHook', 'SandwichSamplerHook', 'SubnetEvaluationHook',
    'TaskAwareSearchLoop', 'UnreadableImagesHook'
]
