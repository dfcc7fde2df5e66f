"""Report which images are trained on and which cannot be decoded, and stop where there are too many of these."""

from __future__ import annotations

from mmengine.dist import all_gather_object, get_world_size
from mmengine.hooks import Hook
from mmengine.runner import Runner

from gaia_ssl.datasets.unreadable import UnreadableImages
from gaia_ssl.registry import HOOKS


@HOOKS.register_module()
class UnreadableImagesHook(Hook):
    """Logs which files there are; each that :class:`gaia_ssl.datasets.ImageFolder` had to replace, once; and their number.

    Args:
        max_unreadable: The share of unreadable files in the data set above which the run stops with a UserError.
        interval: Iterations between two exchanges of the lists among ranks, so that all ranks stop together. A single
            process reports at once.
    """

    def __init__(self, max_unreadable: float = 0.01, interval: int = 50) -> None:
        self.max_unreadable = max_unreadable
        self.interval = interval

    def before_train(self, runner: Runner) -> None:
        """Tell of the training data set, and start an empty list for it."""
        for line in getattr(runner.train_dataloader.dataset, 'described', ()):
            runner.logger.info(line)
        self._images = UnreadableImages(self.max_unreadable, total=len(runner.train_dataloader.dataset))
        self._pending: list[str] = []

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: dict | None = None,
                         outputs: dict | None = None) -> None:
        """Take the paths that the samples of the batch carry."""
        for sample in (data_batch or {}).get('data_samples') or ():
            self._pending.extend(sample.get('unreadable', ()))
        if get_world_size() == 1 or self.every_n_train_iters(runner, self.interval):
            self._report(runner)

    def after_train(self, runner: Runner) -> None:
        """Log the number of unreadable files, if any."""
        self._report(runner)
        if self._images.paths:
            runner.logger.warning(self._images.summary())

    def _report(self, runner: Runner) -> None:
        """Merge the lists of all ranks and log what is new."""
        pending, self._pending = self._pending, []
        gathered = [path for paths in all_gather_object(pending) for path in paths]
        for path in self._images.update(gathered):
            runner.logger.warning(f'cannot read {path}: another image takes its place')
