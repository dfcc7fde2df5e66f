"""Latency: each distinct block of a space timed in its place inside running networks, and the sums checked on others.

A block alone in a loop finds its weights and its input in the cache; inside a network it does not. Hence a few networks
that hold every block between them run whole, and the clock is read after every block.
"""

from __future__ import annotations

import contextlib
import datetime
import platform
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy.stats import spearmanr
from torch import nn

from gaia_ssl.allocator import keep_freed_memory
from gaia_ssl.errors import UserError
from gaia_ssl.models import SubnetResNet
from gaia_ssl.precision import full_float32
from gaia_ssl.progress import Progress
from gaia_ssl.space import Arch, ArchSpace, LatencyTable
from gaia_ssl.space.cost import EXPANSION, feature_sizes
from gaia_ssl.space.latency import blocks_of, blocks_of_space, first_block, stem_block

DTYPES = dict(float32=torch.float32, bfloat16=torch.bfloat16, float16=torch.float16)
_PASSES = 3
"""Timed forward passes of a network each time its turn comes, back to back after one that is not timed."""


def measure_latency(space: ArchSpace, stem_kernel: int = 7, device: str = 'cpu', batch_size: int = 1,
                    resolution: int = 224, dtype: str = 'float32', threads: int | None = None,
                    repeats: int = 10) -> LatencyTable:
    """Time every distinct block of ``space``: the median over the networks of :func:`covering_archs` and the rounds.

    The networks are :class:`SubnetResNet` in channels-last layout, converted to ``dtype``, their batch norms in eval
    mode and unfused.

    Args:
        space: The supernet's space.
        stem_kernel: The supernet's.
        device: ``'cpu'`` or ``'cuda'``.
        batch_size: Images a batch; the times are those of a whole batch.
        resolution: Side of the images in pixels.
        dtype: ``'float32'``, ``'bfloat16'``, or on CUDA also ``'float16'``.
        threads: Of the CPU; None leaves torch's number.
        repeats: Rounds through the networks, each in another order, so that drift hits all alike.

    Returns:
        The table. Its provenance tells all of this, and as ``spread`` the interquartile range of a block's times over
        their median, the median over the blocks: above some 0.2, something else kept the device busy.

    Raises:
        UserError: If an argument is out of range, or the device is not there.
    """
    check_positive(repeats=repeats)
    bench = _Bench(stem_kernel, device, batch_size, resolution, dtype, threads)
    samples: dict[object, list[float]] = defaultdict(list)

    def visit(arch: Arch) -> None:
        network = bench.network(arch)
        parts: list[Callable] = [network.stem, *(block for layer in network.layers for block in layer)]
        for block, times in zip(blocks_of(arch), bench.time(parts).T, strict=True):
            samples[block].extend(times)

    with bench.ready():
        _in_rounds(covering_archs(space), visit, repeats, 'networks')
    milliseconds = {block: float(np.median(samples[block])) for block in blocks_of_space(space)}
    return LatencyTable(milliseconds, dict(
        device=bench.device_name(), device_type=bench.device.type, threads=bench.threads, batch_size=batch_size,
        resolution=resolution, dtype=dtype, tf32=False, channels_last=True, torch=torch.__version__,
        date=datetime.date.today().isoformat(), repeats=repeats, spread=_spread(samples), stem_kernel=stem_kernel,
        space=space.to_dict()))


def check_latency(table: LatencyTable, space: ArchSpace, num_archs: int = 30, seed: int = 0,
                  repeats: int = 10) -> tuple[pd.DataFrame, dict]:
    """Time whole networks under the table's conditions and compare them with the table's sums.

    Args:
        table: Measured on this machine.
        space: To draw archs from, without replacement; the table covers it.
        num_archs: How many; all of a smaller space.
        seed: Of the draw.
        repeats: Rounds through the networks, each in another order.

    Returns:
        A row an arch: ``arch`` (text), ``predicted_ms``, ``measured_ms`` (median) and ``error``
        (predicted / measured - 1). And the summary: ``num_archs``, ``seed``, ``repeats``, ``spread`` (as the
        table's), ``median_abs_error``, ``max_abs_error``, ``mean_error`` (the bias) and ``spearman``, the rank correlation
        (None if there is none to speak of).

    Raises:
        UserError: If the table does not cover the space, or was measured on another device.
    """
    check_positive(num_archs=num_archs, repeats=repeats)
    table.check_covers(space)
    conditions = table.provenance
    settings: list[Any] = [conditions.get(name) for name in ('device_type', 'batch_size', 'resolution', 'dtype', 'threads')]
    bench = _Bench(table.stem_kernel, *settings)
    if conditions.get('device') != bench.device_name():
        raise UserError(f"the latency table was measured on '{conditions.get('device')}' and this is "
                        f"'{bench.device_name()}'; check it there, or measure one here")
    draw = np.random.default_rng(seed).choice(len(space), size=min(num_archs, len(space)), replace=False)
    archs = [space[index] for index in draw]
    samples = bench.time_networks(archs, repeats, 'networks checked')
    rows = pd.DataFrame(dict(
        arch=[str(arch) for arch in archs],
        predicted_ms=[table.of(arch) for arch in archs],
        measured_ms=[float(np.median(samples[arch])) for arch in archs]))
    rows['error'] = rows['predicted_ms'] / rows['measured_ms'] - 1
    return rows, dict(num_archs=len(archs), seed=seed, repeats=repeats, spread=_spread(samples), **summarise(rows))


def network_latencies(archs: Sequence[Arch], stem_kernel: int = 7, device: str = 'cpu', batch_size: int = 1,
                      resolution: int = 224, dtype: str = 'float32', threads: int | None = None,
                      repeats: int = 10) -> np.ndarray:
    """Milliseconds of whole networks, ``(N,)``: medians over rounds, each of which goes through them in another order.

    Args:
        archs: N of them.
        stem_kernel, device, batch_size, resolution, dtype, threads, repeats: As in :func:`measure_latency`.
    """
    check_positive(repeats=repeats)
    bench = _Bench(stem_kernel, device, batch_size, resolution, dtype, threads)
    samples = bench.time_networks(archs, repeats, 'networks timed')
    return np.array([np.median(samples[arch]) for arch in archs])


def summarise(rows: pd.DataFrame) -> dict[str, float | None]:
    """The errors and the rank correlation of a check's rows; see :func:`check_latency`."""
    error = rows['error']
    sides = rows[['predicted_ms', 'measured_ms']]
    ranked = len(rows) >= 3 and sides.nunique().min() > 1
    return dict(median_abs_error=float(error.abs().median()), max_abs_error=float(error.abs().max()),
                mean_error=float(error.mean()), spearman=float(spearmanr(sides).statistic) if ranked else None)


def covering_archs(space: ArchSpace) -> list[Arch]:
    """A few archs, of middling depth, that hold every block of ``space`` between them; 9 for DATA_SPACE.

    Stage by stage each takes the width that least often followed the one before.
    """
    depths = tuple(max(choices[len(choices) // 2], min(choices[-1], 2)) for choices in space.depths)
    seen: Counter[str] = Counter()
    archs, wanted = [], set(blocks_of_space(space))
    while not wanted <= seen.keys():
        stem = channels = min(space.stem, key=lambda width: seen[stem_block(width)])
        widths = []
        for stage, choices in enumerate(space.widths, start=1):
            pairs = {width: seen[first_block(stage, channels, width)] for width in choices}
            widths.append(min(pairs, key=pairs.__getitem__))
            channels = EXPANSION * widths[-1]
        archs.append(Arch(stem, tuple(widths), depths))
        seen.update(blocks_of(archs[-1]))
    return archs


def check_positive(**numbers: int) -> None:
    """Raise a UserError unless every one of ``numbers`` is 1 or more."""
    for name, number in numbers.items():
        if isinstance(number, bool) or not isinstance(number, int) or number < 1:
            raise UserError(f'{name} is {number}; give a whole number of 1 or more')


def _spread(samples: Mapping[Any, list[float]]) -> float:
    quartiles = np.array([np.percentile(times, (25, 50, 75)) for times in samples.values()])
    return float(np.median((quartiles[:, 2] - quartiles[:, 0]) / quartiles[:, 1]))


def _in_rounds(archs: Sequence[Arch], visit: Callable[[Arch], None], rounds: int, what: str) -> None:
    """Visit all ``archs`` once a round, each round in another order."""
    rng = np.random.default_rng(0)
    progress = Progress(rounds * len(archs), what)
    for _ in range(rounds):
        for index in rng.permutation(len(archs)):
            visit(archs[index])
            progress.advance()


def processor_name() -> str:
    """The processor's name."""
    info = Path('/proc/cpuinfo')
    names = [line.split(':')[1].strip() for line in info.read_text().splitlines() if line.startswith('model name')] \
        if info.exists() else []
    return names[0] if names else platform.processor() or platform.machine()


class _Bench:
    """Networks and a clock under one set of conditions; see :func:`measure_latency` for the arguments.

    Networks share the modules that they have in common, so that the memory is about that of the largest few.
    """

    def __init__(self, stem_kernel: int, device: str, batch_size: int, resolution: int, dtype: str,
                 threads: int | None) -> None:
        self.threads = torch.get_num_threads() if threads is None else threads
        check_positive(batch_size=batch_size, resolution=resolution, threads=self.threads)
        feature_sizes(resolution, stem_kernel)
        if device not in ('cpu', 'cuda'):
            raise UserError(f"device is '{device}'; use cpu or cuda")
        if device == 'cuda' and not torch.cuda.is_available():
            raise UserError('device is cuda, and torch finds no GPU here; use cpu')
        if dtype not in DTYPES or (device, dtype) == ('cpu', 'float16'):
            raise UserError(f"dtype is '{dtype}'; use float32 or bfloat16, or on cuda float16")
        self.stem_kernel = stem_kernel
        self.device = torch.device(device)
        self.dtype = DTYPES[dtype]
        self._image = self._placed(torch.rand(batch_size, 3, resolution, resolution,
                                              generator=torch.Generator().manual_seed(0)))
        self._modules: dict[tuple, nn.Module] = {}

    def device_name(self) -> str:
        """The GPU's or the processor's name."""
        if self.device.type == 'cuda':
            return torch.cuda.get_device_name(self.device)
        return processor_name()

    @contextlib.contextmanager
    def ready(self) -> Iterator[None]:
        """No gradients, no TF32, the threads asked for, memory kept, and torch's random state as before."""
        before = torch.get_num_threads()
        if self.device.type == 'cpu':
            keep_freed_memory()
        try:
            torch.set_num_threads(self.threads)
            with torch.no_grad(), torch.random.fork_rng(devices=[]), full_float32():
                yield
        finally:
            torch.set_num_threads(before)

    def network(self, arch: Arch) -> SubnetResNet:
        """The static network of ``arch`` in eval mode, with random weights."""
        with torch.device('meta'):
            network = SubnetResNet(arch, stem_kernel=self.stem_kernel)
        network.conv1 = self._shared(network.conv1, 'conv1', arch.stem)
        network.bn1 = self._shared(network.bn1, 'bn1', arch.stem)
        layers: Any = network.layers
        for stage, layer in enumerate(layers, start=1):
            for index, block in enumerate(layer):
                layer[index] = self._shared(block, stage, index, block.conv1.in_channels, block.conv1.out_channels)
        return network.eval()

    def time(self, parts: Sequence[Callable]) -> np.ndarray:
        """Milliseconds of each of ``parts``, run one after another on the image, ``(passes, len(parts))``."""
        marks: list[list[Any]] = []
        for _ in range(1 + _PASSES):
            x = self._image
            marks.append([self._mark()])
            for part in parts:
                x = part(x)
                marks[-1].append(self._mark())
        marks = marks[1:]
        if self.device.type == 'cuda':
            torch.cuda.synchronize()
            return np.array([[a.elapsed_time(b) for a, b in zip(row, row[1:], strict=False)] for row in marks])
        return np.diff(np.array(marks), axis=1) * 1e3

    def time_networks(self, archs: Sequence[Arch], repeats: int, what: str) -> dict[Arch, list[float]]:
        """Milliseconds of the whole network of each arch, every time it ran."""
        samples: dict[Arch, list[float]] = defaultdict(list)

        def visit(arch: Arch) -> None:
            samples[arch].extend(self.time([self.network(arch)])[:, 0])

        with self.ready():
            _in_rounds(archs, visit, repeats, what)
        return samples

    def _mark(self) -> float | torch.cuda.Event:
        if self.device.type == 'cpu':
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    def _shared(self, module: nn.Module, *key: object) -> Any:
        """The one module of ``key``; the first time, ``module`` from the meta device made real."""
        if key not in self._modules:
            module.to_empty(device='cpu')
            for child in module.modules():
                if callable(reset := getattr(child, 'reset_parameters', None)):
                    reset()
            self._modules[key] = self._placed(module)
        return self._modules[key]

    def _placed(self, what: Any) -> Any:
        return what.to(self.device, self.dtype, memory_format=torch.channels_last)
