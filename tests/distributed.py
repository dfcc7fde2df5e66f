"""Run a function on several real processes that talk gloo."""

import os
import pathlib
import tempfile
from collections.abc import Callable
from typing import Any

import torch
from mmengine.config import Config
from mmengine.runner import Runner
from torch import distributed
from torch.multiprocessing import start_processes

import tests.fork_server  # noqa: F401, which says what the fork server imports


def run_distributed(fn: Callable, world_size: int, *args) -> list:
    """Call ``fn(rank, *args)`` on ``world_size`` processes of one gloo group.

    Args:
        fn: A function of a module's top level; what it returns must be what ``torch.save`` takes.
        world_size: Number of processes.
        *args: Further arguments, pickled.

    Returns:
        What ``fn`` returned, by rank.

    Raises:
        torch.multiprocessing.ProcessRaisedException: With the traceback of the first rank that failed.
    """
    with tempfile.TemporaryDirectory() as folder:
        start_processes(_work, (fn, world_size, folder, args), nprocs=world_size, start_method='forkserver')
        return [torch.load(_result(folder, rank), weights_only=False) for rank in range(world_size)]


def train_in_process(rank: int, config: str, work_dir: str, options: dict) -> None:
    """For :func:`run_distributed`: train by the file ``config`` in mmengine's Runner, as one of torchrun's processes would."""
    os.environ['LOCAL_RANK'] = str(rank)
    settings = Config.fromfile(config)
    settings.merge_from_dict(dict(options, work_dir=work_dir, launcher='pytorch'))
    Runner.from_cfg(settings).train()


def _work(rank: int, fn: Callable, world_size: int, folder: str, args: tuple) -> Any:
    torch.set_num_threads(1)
    torch.manual_seed(rank)
    distributed.init_process_group('gloo', f'file://{folder}/init', rank=rank, world_size=world_size)
    try:
        torch.save(fn(rank, *args), _result(folder, rank))
        distributed.barrier()
    finally:
        distributed.destroy_process_group()


def _result(folder: str, rank: int) -> pathlib.Path:
    return pathlib.Path(folder) / f'{rank}.pt'
