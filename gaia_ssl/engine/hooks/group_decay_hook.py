"""Weight decay that is weaker for the channels which fewer subnets use."""

from __future__ import annotations

import math

import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import Tensor

from gaia_ssl.engine.hooks.supernet_of import supernet_of
from gaia_ssl.errors import UserError
from gaia_ssl.models.dynamic import DynamicConv2d
from gaia_ssl.registry import HOOKS


@HOOKS.register_module()
class GroupDecayHook(Hook):
    """After each optimizer step, the backbone's convolutions decay, their last output channels less than their first.

    All archs use the first channels, few the last ones, which thus get less gradient and would waste away under an equal decay.
    After US3L's group regularisation (https://arxiv.org/abs/2303.06870), which is a loss, of channels in groups. Decoupled as
    AdamW's: a weight loses the learning rate times the decay of itself. Give the optimizer ``weight_decay=0``, so that it does
    not decay them, too.

    Args:
        weight_decay: Of the first channel.
        last: The share of it that the last channel has; linear in between.

    Raises:
        UserError: If ``weight_decay`` is negative or ``last`` not in [0, 1]; before training, if the optimizer decays as well.
    """

    priority = 'NORMAL'  # before the schedule changes the learning rate

    def __init__(self, weight_decay: float, last: float = 0.) -> None:
        if not (0 <= weight_decay < math.inf and 0 <= last <= 1):
            raise UserError(f'GroupDecayHook: weight_decay is {weight_decay} and last is {last}; give a number of 0 or more, '
                            'and the share of it that the last channel has')
        self.weight_decay, self.last = weight_decay, last

    def before_train(self, runner: Runner) -> None:
        """Find the weights, and how fast each of their output channels decays."""
        if any(group.get('weight_decay') for group in runner.optim_wrapper.param_groups):
            raise UserError('GroupDecayHook: the optimizer has a weight decay of its own; set '
                            'optim_wrapper.optimizer.weight_decay=0')
        convolutions = (each for each in supernet_of(runner, self).backbone.modules() if isinstance(each, DynamicConv2d))
        self.weights = [each.weight for each in convolutions if each.weight.requires_grad]
        self.decays = [self.weight_decay * torch.linspace(1, self.last, len(weight), device=weight.device).view(-1, 1, 1, 1)
                       for weight in self.weights]

    @torch.no_grad()
    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: dict | None = None,
                         outputs: dict[str, Tensor] | None = None) -> None:
        """Let them decay, unless an optimizer step is half accumulated."""
        if runner.optim_wrapper.should_update():
            lr = runner.optim_wrapper.get_lr()['lr'][0]
            torch._foreach_mul_(self.weights, [1 - lr * decay for decay in self.decays])
