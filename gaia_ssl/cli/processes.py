"""The processes of a job, before they have met."""

from __future__ import annotations

import datetime
import os

import torch


def count_processes(launcher: str) -> int:
    """How many processes the job has, before they have met."""
    name = dict(pytorch='WORLD_SIZE', slurm='SLURM_NTASKS', mpi='OMPI_COMM_WORLD_SIZE').get(launcher, '')
    return int(os.environ.get(name, 1))


def is_first_process() -> bool:
    """Whether this is the job's only process or its first, before they have met."""
    return all(os.environ.get(name, '') in ('', '0') for name in ('RANK', 'SLURM_PROCID', 'OMPI_COMM_WORLD_RANK'))


def join_processes(launcher: str, timeout: datetime.timedelta | None = None) -> None:
    """Join torchrun's processes where there is no GPU, which mmengine would ask for; it takes a group that is there.

    Args:
        launcher: As on the command line.
        timeout: How long processes wait for one another; default torch's.
    """
    if launcher == 'pytorch' and not torch.cuda.is_available():
        torch.distributed.init_process_group('gloo', timeout=timeout)
