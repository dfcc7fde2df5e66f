"""The processes of a job, before they have met."""

from __future__ import annotations

import datetime
import os

import torch
from torch import distributed


def count_processes(launcher: str) -> int:
    """How many processes the job has, before they have met."""
    name = dict(pytorch='WORLD_SIZE', slurm='SLURM_NTASKS', mpi='OMPI_COMM_WORLD_SIZE').get(launcher, '')
    return int(os.environ.get(name, 1))


def is_first_process() -> bool:
    """Whether this is the job's only process or its first, before they have met."""
    return all(os.environ.get(name, '') in ('', '0') for name in ('RANK', 'SLURM_PROCID', 'OMPI_COMM_WORLD_RANK'))


def join_processes(launcher: str, timeout: datetime.timedelta | None = None) -> None:
    """Join torchrun's processes where mmengine would not; it takes a group that is there.

    That is where there is no GPU, which it would ask for, and where torchrun has started all of them again: what the earlier
    ones told each other is still in the store, so that each attempt gets a part of its own.

    Args:
        launcher: As on the command line.
        timeout: How long processes wait for one another; default torch's.
    """
    attempt, on_gpu = os.environ.get('TORCHELASTIC_RESTART_COUNT', '0'), torch.cuda.is_available()
    if launcher != 'pytorch' or (on_gpu and attempt == '0'):
        return
    if on_gpu:
        torch.cuda.set_device(int(os.environ['LOCAL_RANK']))
    store, rank, size = next(distributed.rendezvous('env://'))
    distributed.init_process_group('nccl' if on_gpu else 'gloo', store=distributed.PrefixStore(f'attempt {attempt}', store),
                                   rank=rank, world_size=size, timeout=timeout)
