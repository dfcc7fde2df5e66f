"""A training of another length, all that its schedule does in proportion."""

from __future__ import annotations

from mmengine.config import Config


def scale_schedule(config: Config, length: int) -> None:
    """Make the run ``length`` epochs or iterations long, whichever it counts, and its schedulers in proportion.

    Args:
        config: With ``train_cfg.max_epochs`` or ``train_cfg.max_iters``; it is changed.
        length: The new length.
    """
    unit = 'max_iters' if 'max_iters' in config.train_cfg else 'max_epochs'
    ratio = length / config.train_cfg[unit]
    schedulers = []
    for scheduler in config.param_scheduler:
        for name in ('begin', 'end'):
            if name in scheduler:
                scheduler[name] = round(scheduler[name] * ratio)
        if 'T_max' in scheduler:
            scheduler.T_max = scheduler.end - scheduler.begin
        if 'milestones' in scheduler:
            scheduler.milestones = [round(milestone * ratio) for milestone in scheduler.milestones]
        if 'end' not in scheduler or scheduler.end > scheduler.get('begin', 0):
            schedulers.append(scheduler)
    config.param_scheduler = schedulers
    config.train_cfg[unit] = length
