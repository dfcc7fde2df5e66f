"""Sigmoid focal loss (Lin et al., 2017, Eq. 5) of each class, in closed form."""

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from mmcv_torchvision_ops.precision import wide


def sigmoid_focal_loss_forward(input: Tensor, target: Tensor, weight: Tensor, output: Tensor, *, gamma: float,
                               alpha: float) -> None:
    """Write the loss of each of the (N, C) logits into ``output``.

    Args:
        input: (N, C) logits.
        target: (N,) classes; C is background, which no logit stands for.
        weight: (C,) of the target's class, or empty for none; background has weight 1.
    """
    logits = wide(input)
    chance = logits.sigmoid()
    positive = -alpha * (1 - chance) ** gamma * logsigmoid(logits)
    negative = -(1 - alpha) * chance ** gamma * logsigmoid(-logits)
    output.copy_(_choose(positive, negative, target, weight))


def sigmoid_focal_loss_backward(input: Tensor, target: Tensor, weight: Tensor, grad_input: Tensor, *, gamma: float,
                                alpha: float) -> None:
    """Write the derivative of each logit's loss into ``grad_input``."""
    logits = wide(input)
    chance = logits.sigmoid()
    positive = -alpha * (1 - chance) ** gamma * (1 - chance - gamma * chance * logsigmoid(logits))
    negative = -(1 - alpha) * chance ** gamma * (gamma * (1 - chance) * logsigmoid(-logits) - chance)
    grad_input.copy_(_choose(positive, negative, target, weight))


def _choose(positive: Tensor, negative: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    classes = torch.arange(positive.size(1), device=target.device)
    values = torch.where(target[:, None] == classes, positive, negative)
    if weight.numel():
        values = values * torch.cat([wide(weight), values.new_ones(1)])[target][:, None]
    return values
