"""Checkpoints that are whole or not there."""

from __future__ import annotations

import pathlib
from typing import Any

from mmengine.fileio import LocalBackend, register_backend
from mmengine.hooks import CheckpointHook
from mmengine.runner import Runner

from gaia_ssl.engine.accumulation import KEY, accumulated, put_back
from gaia_ssl.errors import UserError
from gaia_ssl.files import atomic_path, remove_leftovers
from gaia_ssl.registry import HOOKS


class AtomicBackend(LocalBackend):
    """mmengine's local files, put beside their place and then renamed."""

    def put(self, obj: bytes, filepath: str | pathlib.Path) -> None:
        with atomic_path(filepath) as temporary:
            temporary.write_bytes(obj)


register_backend('atomic', AtomicBackend, force=True)


@HOOKS.register_module()
class AtomicCheckpointHook(CheckpointHook):
    """mmengine's CheckpointHook, writing atomically: a run that is killed while it saves leaves the earlier checkpoint.

    Where an optimizer step takes several iterations, checkpoints amid one hold the gradients so far, and a resumed run goes on
    with them. Takes CheckpointHook's arguments. As mmengine deletes the oldest checkpoint before it writes the next,
    ``max_keep_ckpts`` is at least 2.
    """

    def __init__(self, *args: Any, max_keep_ckpts: int = 2, **kwargs: Any) -> None:
        if 0 <= max_keep_ckpts < 2:
            raise UserError(f'max_keep_ckpts is {max_keep_ckpts}; keep at least 2 (or -1 for all), so that one is always whole')
        super().__init__(*args, max_keep_ckpts=max_keep_ckpts, backend_args=dict(backend='atomic'), **kwargs)
        self._accumulation: dict[str, Any] | None = None
        self._resumed: dict[str, Any] | None = None

    def _save_checkpoint_with_step(self, runner: Runner, step: int, meta: dict) -> None:
        self._accumulation = accumulated(runner)  # here, where all processes come by
        try:
            super()._save_checkpoint_with_step(runner, step, meta)
        finally:
            self._accumulation = None  # who saves by another way is at another iteration

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        if self._accumulation is not None:
            checkpoint[KEY] = self._accumulation

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        self._resumed = checkpoint.get(KEY)

    def before_train(self, runner: Runner) -> None:
        super().before_train(runner)
        if self._resumed is not None and runner._resume:
            put_back(runner, self._resumed)
            if self._resumed['gradients']:
                runner.logger.info('the gradients of that step were in the checkpoint: none is lost')
        self._resumed = None
        remove_leftovers(self.out_dir, '*.pth')
