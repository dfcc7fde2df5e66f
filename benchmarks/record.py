"""How a benchmark measures and writes down: medians, command, versions and machine beside every figure."""

import argparse
import datetime
import json
import platform
import shlex
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import mmengine
import torch

import gaia_ssl
from gaia_ssl.evaluation.latency import processor_name
from gaia_ssl.files import atomic_path

RESULTS = Path(__file__).parent / 'results'


def in_turn(sides: dict[str, Callable[[], object]], repeats: int) -> dict[str, list[float]]:
    """Seconds of each side, run in turn (A B A B …) after one uncounted run each, so that drift hits both alike."""
    seconds = {name: [] for name in sides}
    for repeat in range(repeats + 1):
        for name, run in sides.items():
            synchronize()
            start = time.perf_counter()
            run()
            synchronize()
            if repeat:
                seconds[name].append(time.perf_counter() - start)
    return seconds


def median_ratio(a: list[float], b: list[float]) -> float:
    """The median over the pairs of a / b."""
    return statistics.median(x / y for x, y in zip(a, b, strict=True))


def synchronize() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def add_out(parser: argparse.ArgumentParser) -> None:
    """``--out DIR``, the ``folder`` of :func:`write`."""
    parser.add_argument('--out', type=Path, default=RESULTS, metavar='DIR',
                        help='folder for the results (default: %(default)s)')


def write(name: str, results: dict, folder: Path = RESULTS) -> None:
    """Write ``NAME.json`` into ``folder`` with the command, the versions and the machine."""
    record = dict(
        command=shlex.join(['python', *sys.argv]),
        date=datetime.date.today().isoformat(),
        versions=dict(gaia_ssl=gaia_ssl.__version__, torch=torch.__version__, mmengine=mmengine.__version__,
                      python=platform.python_version()),
        machine=dict(processor=processor_name(), threads=torch.get_num_threads(),
                     gpu=torch.cuda.get_device_name() if torch.cuda.is_available() else None,
                     tf32=torch.backends.cudnn.allow_tf32),
        results=results)
    path = folder / f'{name}.json'
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(record, indent=2) + '\n', encoding='utf-8')
    print(f'written: {path}')
