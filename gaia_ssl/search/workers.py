"""Scoring image batches on the threads of one process."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, ThreadPoolExecutor, wait
from queue import SimpleQueue

import torch
from torch import Tensor

from gaia_ssl.search.prefix_evaluator import PrefixEvaluator, UnitScores
from gaia_ssl.space import ArchTree

CHUNK_LEVEL = 4
"""A thread takes the units of a batch that agree in stem, width 1, depth 1 and width 2, which share most of their path."""


def score_batches(evaluators: Sequence[PrefixEvaluator], tree: ArchTree,
                  batches: Iterable[tuple[int, Tensor, Sequence[int]]],
                  on_unit: Callable[[int, int, UnitScores], None]) -> None:
    """Walk the tree for each image batch, on as many threads as there are evaluators.

    Each thread computes with one thread of its own: bits do not depend on their number, and nothing waits at the end of
    every layer for the others.

    Args:
        evaluators: One a thread.
        tree: The archs.
        batches: Number, images ``(N, 3, H, W)`` and units to do of each image batch; taken as they are needed.
        on_unit: Called in the thread with batch, unit and scores.
    """
    free: SimpleQueue[PrefixEvaluator] = SimpleQueue()
    for evaluator in evaluators:
        free.put(evaluator)

    stopped = threading.Event()

    def work(batch: int, images: Tensor, units: Sequence[int]) -> None:
        def done(unit: int, scores: UnitScores) -> None:
            on_unit(batch, unit, scores)
            if stopped.is_set():
                raise CancelledError

        evaluator = free.get()
        try:
            evaluator.walk_batch(batch, images, tree, units, done)
        finally:
            free.put(evaluator)

    device = evaluators[0].device

    def begin() -> None:
        torch.set_num_threads(1)
        if device.type == 'cuda':
            torch.cuda.set_device(device)

    with ThreadPoolExecutor(len(evaluators), initializer=begin) as pool:
        running = set()
        try:
            for batch, images, units in batches:
                for chunk in _chunks(tree, units):
                    running.add(pool.submit(work, batch, images, chunk))
                    if len(running) >= 2 * len(evaluators):
                        running = _collect(running)
            while running:
                running = _collect(running)
        finally:
            stopped.set()
            pool.shutdown(cancel_futures=True)


def _chunks(tree: ArchTree, units: Sequence[int]) -> list[list[int]]:
    def subtree(unit: int) -> tuple[int, ...]:
        return tuple(tree.numbers[tree.unit_rows(unit)[0], :CHUNK_LEVEL])

    return [list(group) for _, group in itertools.groupby(sorted(units), key=subtree)]


def _collect(running: set) -> set:
    done, running = wait(running, return_when=FIRST_COMPLETED)
    for future in done:
        future.result()
    return running
