"""Scoring many subnets in one walk over the tree of what they share."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

import numpy as np
import torch
from torch import Tensor

from gaia_ssl.search.evaluator import SubnetEvaluator, Targets
from gaia_ssl.search.node_scores import NodeScores
from gaia_ssl.search.task import STAGE_OF
from gaia_ssl.space import Arch, ArchTree

UnitScores = dict[str, np.ndarray]
"""Quantity -> ``(nodes that the unit owns, N)``, float32."""


class PrefixEvaluator(SubnetEvaluator):
    """Exact, and many times cheaper than one forward a subnet: stage s depends only on what comes before it.

    The walk goes depth-first. A stage's blocks run as one chain for each width, of which every depth is read off, and
    only the activations of the current path are in memory: see :func:`gaia_ssl.search.plan.expected_bytes`.
    """

    _taught: tuple[int, Tensor, Targets] | None = None

    def score(self, images: Tensor, archs: Sequence[Arch]) -> Tensor:
        tree = ArchTree(archs)
        scores = NodeScores(tree, self.quantities, len(images))
        images = self.prepare(images)
        self.walk(images, self.teach(images), tree, range(tree.num_units),
                  lambda unit, values: scores.put(unit, 0, values))
        rows = np.stack([scores.of(quantity, tree.rows) for quantity in self.quantities], axis=1)
        return torch.from_numpy(rows.astype(np.float32))

    def walk_batch(self, batch: int, images: Tensor, tree: ArchTree, units: Collection[int],
                   on_unit: Callable[[int, UnitScores], None]) -> None:
        """:meth:`walk` on images ``(N, 3, H, W)``; of consecutive calls with the same ``batch`` number, the first teaches."""
        if self._taught is None or self._taught[0] != batch:
            self._taught = None  # the earlier batch's memory is free before the next one's is taken
            images = self.prepare(images)
            self._taught = batch, images, self.teach(images)
        self.walk(*self._taught[1:], tree, units, on_unit)

    @torch.no_grad()
    def walk(self, images: Tensor, targets: Targets, tree: ArchTree, units: Collection[int],
             on_unit: Callable[[int, UnitScores], None]) -> None:
        """Score the archs of ``units``; units that share a path compute it once.

        Args:
            images: As :meth:`prepare` returns them, ``(N, 3, H, W)``.
            targets: As :meth:`teach` returns them.
            tree: The archs.
            units: Which of the tree's units, in any order.
            on_unit: Called with each unit and its scores as soon as it is done, by rising unit.
        """
        _Walk(self, images, targets, tree, units, on_unit).run()


class _Walk:

    def __init__(self, evaluator: PrefixEvaluator, images: Tensor, targets: Targets, tree: ArchTree,
                 units: Collection[int], on_unit: Callable[[int, UnitScores], None]) -> None:
        self.evaluator, self.images, self.targets, self.tree, self.on_unit = evaluator, images, targets, tree, on_unit
        self.backbone, self.neck = evaluator.model.backbone, evaluator.model.neck
        wanted = np.zeros(len(tree), dtype=bool)
        for unit in units:
            wanted[slice(*tree.unit_rows(unit))] = True
        self.wanted_before = np.r_[0, np.cumsum(wanted)]
        self.units = iter(sorted(units))
        self.begin_unit()

    def run(self) -> None:
        for start, stop in self.tree.subtrees(1, 0, len(self.tree)):
            if self.wants(start, stop):
                self.backbone.set_stem(int(self.tree.numbers[start, 0]))
                self.run_stage(0, self.backbone.stem(self.images), start, stop)

    def run_stage(self, stage: int, x: Tensor, start: int, stop: int) -> None:
        """The subtree ``start:stop`` from the input ``x`` of ``stage`` on."""
        tree, layer = self.tree, self.backbone.layers[stage]
        for chain_start, chain_stop in tree.subtrees(2 + 2 * stage, start, stop):
            if not self.wants(chain_start, chain_stop):
                continue
            self.backbone.set_width(stage, int(tree.numbers[chain_start, 1 + 2 * stage]))
            output, depth = x, 0
            for node_start, node_stop in tree.subtrees(3 + 2 * stage, chain_start, chain_stop):
                if self.wants(node_start, node_stop):
                    target_depth = int(tree.numbers[node_start, 2 + 2 * stage])
                    for block in layer[depth:target_depth]:
                        output = block(output)
                    depth = target_depth
                    if self.wants(node_start, node_start + 1):
                        self.score(stage, output)
                    if stage < 3:
                        self.run_stage(stage + 1, output, node_start, node_stop)
                    elif node_stop == self.unit_stop:
                        self.end_unit()

    def wants(self, start: int, stop: int) -> bool:
        """Whether a unit to do holds one of these rows."""
        return self.wanted_before[stop] > self.wanted_before[start]

    def score(self, stage: int, output: Tensor) -> None:
        """Score a node of the unit at hand, which owns it, as its first row is wanted."""
        for feature in self.evaluator.features:
            if STAGE_OF[feature] == stage:
                student = self.evaluator.read(feature, self.neck, output)
                for quantity, similarity in self.evaluator.compare(feature, student, self.targets).items():
                    self.scores[quantity].append(similarity)

    def begin_unit(self) -> None:
        self.unit = next(self.units, None)
        self.unit_stop = None if self.unit is None else self.tree.unit_rows(self.unit)[1]
        self.scores: dict[str, list[Tensor]] = {quantity: [] for quantity in self.evaluator.quantities}

    def end_unit(self) -> None:
        nodes = [node for nodes in self.scores.values() for node in nodes]
        together = torch.stack(nodes) if nodes else torch.empty(0, len(self.images))
        bounds = np.cumsum([len(nodes) for nodes in self.scores.values()])
        assert self.unit is not None
        self.on_unit(self.unit, dict(zip(self.scores, np.split(together.cpu().numpy(), bounds[:-1]), strict=True)))
        self.begin_unit()
