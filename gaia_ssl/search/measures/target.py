"""The teacher's side of all that one feature is scored by."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from gaia_ssl.models.relations import pool_to
from gaia_ssl.search.measures.between_images import BETWEEN_IMAGES, Measure, cells_of, centred_cosines
from gaia_ssl.search.measures.paper import RelationTarget, embedding_similarity, relation_similarity

PAPER = ''
"""The paper's measure, beside :data:`BETWEEN_IMAGES`."""


class FeatureTarget:
    """Compares students' features with a teacher's, by one or more measures.

    Args:
        teacher: Map ``(N, C, H, W)`` or vector ``(N, D)``.
        measures: :data:`PAPER` or names of :data:`BETWEEN_IMAGES`.
        temperature: Of the paper's relations.
    """

    def __init__(self, teacher: Tensor, measures: Sequence[str], temperature: float = 0.2) -> None:
        self.grid = (teacher.size(2), teacher.size(3)) if teacher.dim() == 4 else None
        self._similarities: list[Callable[[Tensor, Tensor], Tensor]] = []
        self._between_images = any(name != PAPER for name in measures)
        cells = cells_of(teacher) if self._between_images else teacher.new_empty(0, 0, 0)
        cosines = centred_cosines(cells)
        for name in measures:
            self._similarities.append(_paper(teacher, temperature) if name == PAPER else
                                      _between_images(BETWEEN_IMAGES[name](cosines, cells.size(1)), len(teacher)))

    def compare(self, student: Tensor) -> Tensor:
        """``(measures, N)``, float32. A map is pooled to the teacher's grid, if that is coarser."""
        if self.grid is not None:
            student = pool_to(student, self.grid)
        cosines = centred_cosines(cells_of(student)) if self._between_images else student.new_empty(0)
        return torch.stack([similarity(student, cosines) for similarity in self._similarities])


def _paper(teacher: Tensor, temperature: float) -> Callable[[Tensor, Tensor], Tensor]:
    if teacher.dim() == 2:
        return lambda student, _: embedding_similarity(student, teacher)
    target = RelationTarget(teacher, temperature)
    return lambda student, _: relation_similarity(student, target)


def _between_images(measure: Measure, images: int) -> Callable[[Tensor, Tensor], Tensor]:
    return lambda _, cosines: measure(cosines).view(images, -1).mean(dim=1)
