"""What a downstream config amounts to when it runs."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

from mmengine.config import Config
from rich.table import Table


@dataclasses.dataclass(frozen=True)
class RunSummary:
    """A training in numbers.

    Attributes:
        processes: GPUs that the config is written for.
        batch_size: Images of each.
        lr: Of the optimizer at its peak.
        optimizer: Its type.
        iterations: Optimizer steps.
        epochs: Passes over the training images.
        checkpoint: The last one that it writes.
    """

    processes: int
    batch_size: int
    lr: float
    optimizer: str
    iterations: int
    epochs: float
    checkpoint: str

    @property
    def total_batch(self) -> int:
        """Images an iteration."""
        return self.processes * self.batch_size


def summarise_run(config: Config, num_images: int, processes: int | None = None) -> RunSummary:
    """The training of a filled-in config.

    Args:
        config: ``auto_scale_lr.base_batch_size`` is the total batch that its learning rate is for.
        num_images: Images to train on, of one epoch.
        processes: GPUs; the learning rate is scaled to them, as ``auto_scale_lr`` does. Default those that the config is for.
    """
    batch, base = config.train_dataloader.batch_size, config.auto_scale_lr.base_batch_size
    scale = 1.0 if processes is None else processes * batch / base
    processes = processes or max(1, base // batch)
    share = math.ceil(num_images / processes)
    per_epoch = share // batch if config.train_dataloader.get('drop_last') else math.ceil(share / batch)
    optimizer, length = config.optim_wrapper.optimizer, config.train_cfg
    by_epoch = 'max_epochs' in length
    iterations = length.max_epochs * per_epoch if by_epoch else length.max_iters
    return RunSummary(
        processes, batch, optimizer.lr * scale, optimizer.type, iterations,
        epochs=length.max_epochs if by_epoch else iterations * processes * batch / num_images,
        checkpoint=f'epoch_{length.max_epochs}.pth' if by_epoch else f'iter_{iterations}.pth')


def summary_table(rows: Sequence[tuple[str, int, RunSummary]]) -> Table:
    """The trainings of several configs, a row each: name, classes and what it amounts to."""
    table = Table(title='What the configs train', title_justify='left')
    table.add_column('config', no_wrap=True)
    for heading in ('classes', 'total batch', 'learning rate', 'iterations', 'epochs'):
        table.add_column(heading, justify='right')
    for name, classes, run in rows:
        table.add_row(name, str(classes), f'{run.total_batch} = {run.processes} x {run.batch_size}',
                      f'{run.lr:g} {run.optimizer}', f'{run.iterations:,}', f'{run.epochs:.1f}')
    return table
