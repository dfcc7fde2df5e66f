"""Checkpoints that are whole or not there."""

from __future__ import annotations

import pathlib
from typing import Any

from mmengine.fileio import LocalBackend, register_backend
from mmengine.hooks import CheckpointHook
from mmengine.runner import Runner

from gaia_ssl.errors import UserError
from gaia_ssl.files import atomic_path
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

    Takes CheckpointHook's arguments. As mmengine deletes the oldest checkpoint before it writes the next,
    ``max_keep_ckpts`` is at least 2.
    """

    def __init__(self, *args: Any, max_keep_ckpts: int = 2, **kwargs: Any) -> None:
        if 0 <= max_keep_ckpts < 2:
            raise UserError(f'max_keep_ckpts is {max_keep_ckpts}; keep at least 2 (or -1 for all), so that one is always whole')
        super().__init__(*args, max_keep_ckpts=max_keep_ckpts, backend_args=dict(backend='atomic'), **kwargs)

    def before_train(self, runner: Runner) -> None:
        super().before_train(runner)
        for leftover in pathlib.Path(self.out_dir).glob('.*.pth'):
            leftover.unlink(missing_ok=True)
