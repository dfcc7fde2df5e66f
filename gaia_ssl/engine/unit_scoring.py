"""Scoring archs on image batches, by all processes of a search, with every finished unit kept."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from mmengine.dist import all_gather_object, barrier, get_rank, get_world_size
from torch import Tensor

from gaia_ssl.datasets.unreadable import UnreadableImages
from gaia_ssl.errors import UserError
from gaia_ssl.models.algorithms import Supernet
from gaia_ssl.progress import Progress
from gaia_ssl.search.journal import ScoreJournal
from gaia_ssl.search.node_scores import NodeScores, pack_scores, packed_size, unpack_sums
from gaia_ssl.search.plan import ImageBatches, share_of_process
from gaia_ssl.search.prefix_evaluator import PrefixEvaluator, UnitScores
from gaia_ssl.search.scored import Scored
from gaia_ssl.search.selection import Selection
from gaia_ssl.search.workers import score_batches


class UnitScoring:
    """Scores archs on image batches; units (a batch and a subtree) that are in the journal are not done again.

    Args:
        model: The supernet.
        evaluators: One a thread.
        batches: Of the search.
        input_size: What FLOPs are counted at: resolution, stem and channels of the images.
        logger: Told of the progress and of unreadable images.
        max_unreadable: The share of unreadable images above which scoring stops.
        on_estimate: Told how many seconds a share of the work will take.
    """

    def __init__(self, model: Supernet, evaluators: Sequence[PrefixEvaluator], batches: ImageBatches,
                 input_size: tuple[int, int, int], logger: logging.Logger, max_unreadable: float,
                 on_estimate: Callable[[float], None]) -> None:
        self._model, self._evaluators, self._batches, self._input_size = model, evaluators, batches, input_size
        self._logger, self._on_estimate = logger, on_estimate
        self._quantities = evaluators[0].quantities
        self._unreadable, self._everybodys = (UnreadableImages(max_unreadable, total=batches.num_images) for _ in range(2))
        self._estimated = False

    def score(self, selection: Selection, batches: Sequence[int], journal: ScoreJournal) -> None:
        """Fill the journal with the scores of these archs on the batches of these numbers. To be called by all processes."""
        tree, macs, size = selection.tree, selection.tree.macs(*self._input_size), self._batches.size
        done = {(batch, unit) for batch, unit, _ in self._records(selection, batches, journal)}
        barrier()  # nobody writes before everybody has looked
        todo = [(batch, unit) for batch in batches for unit in range(tree.num_units) if (batch, unit) not in done]
        if done:
            self._logger.info(f'{len(done)} of {tree.num_units * len(batches)} units are done already')
        mine = share_of_process(todo, self._batches, macs, get_rank(), get_world_size())
        sizes, images = tree.unit_sizes(), sum(map(size, batches))
        total = sum(macs[unit] * size(batch) for batch, unit in mine)

        def archs(batch: int, unit: int) -> float:
            return int(sizes[unit]) * size(batch) / images

        what = 'archs' if get_world_size() == 1 else "archs of this process's share"
        progress = Progress(sum(archs(*pair) for pair in mine), what, self._logger.info, total_weight=total)
        writer = journal.writer(get_rank())

        def keep(batch: int, unit: int, scores: UnitScores) -> None:
            writer.append(batch, unit, pack_scores(scores))
            progress.advance(archs(batch, unit), macs[unit] * size(batch))

        try:
            score_batches(self._evaluators, tree, self._load(mine, total), keep)
        finally:
            writer.close()
        known = len(self._everybodys.paths)
        for paths in all_gather_object(list(self._unreadable.paths)):
            self._everybodys.update(paths)
        if len(self._everybodys.paths) > known:
            self._logger.warning(self._everybodys.summary())
        barrier()

    def read(self, selection: Selection, batches: Sequence[int], journal: ScoreJournal) -> Scored:
        """What :meth:`score` has left in the journal.

        Raises:
            UserError: If something is missing or not finite.
        """
        tree, columns = selection.tree, {batch: column for column, batch in enumerate(batches)}
        scores, there = NodeScores(tree, self._quantities, len(batches)), set()
        for batch, unit, payload in self._records(selection, batches, journal):
            scores.put(unit, columns[batch], unpack_sums(payload, tree, unit, self._quantities, self._batches.size(batch)))
            there.add((batch, unit))
        units = tree.num_units * len(batches)
        if len(there) < units:
            raise UserError(f'{units - len(there)} of {units} units are missing in {journal.folder}; do all machines '
                            'share this folder? --resume computes them')
        if not scores.are_finite():
            raise UserError('some features are not finite; use a checkpoint of a run that did not diverge')
        return Scored(selection, {quantity: scores.of(quantity) for quantity in self._quantities},
                      np.array([self._batches.size(batch) for batch in batches]))

    def _records(self, selection: Selection, batches: Sequence[int], journal: ScoreJournal) -> Iterator[tuple[int, int, bytes]]:
        """Those in the journal that are of these units; others count as not done."""
        tree, wanted = selection.tree, set(batches)
        for batch, unit, payload in journal:
            if batch in wanted and unit < tree.num_units and len(payload) == packed_size(
                    tree, unit, self._quantities, self._batches.size(batch)):
                yield batch, unit, payload

    def _load(self, todo: Sequence[tuple[int, int]], macs: float) -> Iterator[tuple[int, Tensor, list[int]]]:
        """Number, images and units to do of each image batch of ``todo``."""
        units: dict[int, list[int]] = {}
        for batch, unit in todo:
            units.setdefault(batch, []).append(unit)
        for batch, data in zip(units, self._batches.loader(list(units)), strict=True):
            for sample in data['data_samples']:
                for path in self._unreadable.update(sample.get('unreadable', ())):
                    self._logger.warning(f'unreadable image, skipped: {path}')
            images = self._model.data_preprocessor(data, False)['inputs']
            images = images[0] if isinstance(images, list) else images
            if not self._estimated:
                self._estimated = True
                self._on_estimate(macs / self._rate(images))
            yield batch, images, units[batch]

    def _rate(self, images: Tensor) -> float:
        """Multiply-adds a second of the teacher's forward."""
        evaluator = self._evaluators[0]
        for _ in range(2):
            start = time.perf_counter()
            evaluator.teach(evaluator.prepare(images))
            if images.is_cuda:
                torch.cuda.synchronize()
            seconds = time.perf_counter() - start
        return self._model.backbone.space.max.flops(*self._input_size) * len(images) / seconds
