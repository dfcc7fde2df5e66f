"""Gradients of an optimizer step that is half accumulated, so that a checkpoint amid it loses nothing."""

from __future__ import annotations

from typing import Any

import torch
from mmengine.dist import gather, get_rank
from mmengine.optim import OptimWrapper
from mmengine.runner import Runner

from gaia_ssl.engine.unwrap import unwrapped

KEY = 'accumulation'
"""Of a checkpoint's entry."""


def counts_of(optim_wrapper: OptimWrapper) -> int:
    """Iterations an optimizer step."""
    return optim_wrapper._accumulative_counts


def accumulated(runner: Runner) -> dict[str, Any] | None:
    """What a checkpoint at this iteration needs: iterations a step, and each parameter's gradient so far in each process.

    All processes call it. The gradients ``(processes, *shape)`` are on the CPU, and there only in the main process; none
    after a step that is complete.

    Returns:
        None where every iteration is a step.
    """
    counts = counts_of(runner.optim_wrapper)
    if counts == 1:
        return None
    gradients = {}
    if not runner.optim_wrapper.should_update():
        for name, value in unwrapped(runner.model).named_parameters():
            if value.grad is not None:
                each = gather(value.grad)
                gradients[name] = torch.stack([gradient.cpu() for gradient in each]) if each else torch.empty(0)
    return dict(counts=counts, gradients=gradients)


def put_back(runner: Runner, entry: dict[str, Any]) -> None:
    """Give the parameters what :func:`accumulated` told; to another number of processes, the mean, which is what counts."""
    parameters = dict(unwrapped(runner.model).named_parameters())
    for name, each in entry['gradients'].items():
        gradient = each[get_rank()] if len(each) == runner.world_size else each.mean(0)
        parameters[name].grad = gradient.to(parameters[name].device, copy=True)
