"""mmpretrain's classifiers trained and tested by mmengine's Runner, as the downstream configs say or scaled."""

from __future__ import annotations

import os

from mmengine.config import Config

from gaia_ssl.checkpoint import latest_checkpoint, load_checkpoint
from gaia_ssl.engine.build_runner import build_runner
from gaia_ssl.export.backbone_config import LOADERS


def set_batch_size(config: Config, batch_size: int, images: int, lr: float | None = None) -> None:
    """Make one process train on batches of ``batch_size`` images, or of all ``images`` where there are fewer.

    Batches are whole, so that none is too small for batch statistics.

    Args:
        config: With ``auto_scale_lr.base_batch_size``, the total batch that its learning rate is for; it is changed.
        batch_size: Images a batch.
        images: Size of the training data.
        lr: Learning rate; default the config's, in proportion to the batch.
    """
    batch_size = min(batch_size, images)
    config.train_dataloader.update(batch_size=batch_size, drop_last=True)
    base = config.auto_scale_lr.base_batch_size
    config.optim_wrapper.optimizer.lr = lr or config.optim_wrapper.optimizer.lr * batch_size / base


def set_workers(config: Config, workers: int) -> None:
    """Set how many processes read images; without a GPU no memory is pinned."""
    for name in LOADERS:
        config[name].update(num_workers=workers, persistent_workers=workers > 0, pin_memory=False)


def train_and_test(config: Config, work_dir: str | os.PathLike) -> dict[str, float]:
    """Train, going on from the latest checkpoint in ``work_dir``, and test once at the end.

    Validating meanwhile would only take time: nothing is chosen by it.

    Returns:
        The metrics, e.g. ``accuracy/top1`` in percent.
    """
    config.work_dir = os.fspath(work_dir)
    config.val_cfg = config.val_dataloader = config.val_evaluator = None
    config.load_from = latest_checkpoint(work_dir)
    config.resume = config.load_from is not None
    if config.resume:
        load_checkpoint(config.load_from)  # refuses what is broken or would run code
    runner = build_runner(config)
    runner.train()
    return runner.test()
