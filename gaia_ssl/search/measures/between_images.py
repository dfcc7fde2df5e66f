"""How images relate to one another: what nearest neighbours and linear classifiers live on.

All measures are of the cosines of a batch's features, centred over the batch, so that they need no equal channel counts.
Without the centring, what all images have in common outweighs what tells them apart.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from gaia_ssl.models.relations import pool_to

CELLS = 2
"""A map is averaged to so many cells a side; each cell relates to those of the other images."""
MIN_IMAGES = 32
"""Fewer in a batch say little of one another."""
TEMPERATURE = 0.1
"""Of :class:`Relations`."""
NEIGHBOURS = 10
"""Of :class:`Neighbours`."""
PENALTY = 0.1
"""Of :class:`Readout`, to the squared length of a feature, which is 1."""


def cells_of(feature: Tensor) -> Tensor:
    """``(N, C, H, W)`` or ``(N, D)`` to ``(N, cells, C)``, float32; a vector is a single cell."""
    if feature.dim() == 2:
        return feature.float().unsqueeze(1)
    return pool_to(feature.float(), (min(CELLS, feature.size(2)), min(CELLS, feature.size(3)))).flatten(2).mT


def centred_cosines(cells: Tensor) -> Tensor:
    """``(N, cells, C)`` to the cosines ``(M, M)`` of all ``M = N * cells`` with one another, less their mean."""
    rows = cells.flatten(0, 1)
    rows = F.normalize(rows - rows.mean(dim=0), dim=1)
    return rows @ rows.mT


class Measure:
    """How close a student's cosines come to a teacher's; more is better.

    Args:
        teacher: :func:`centred_cosines` of its feature, ``(M, M)``.
        cells: An image's; those of one image are not compared with each other.
    """

    def __init__(self, teacher: Tensor, cells: int) -> None:
        self.teacher = teacher
        self.image = torch.arange(len(teacher), device=teacher.device) // cells
        self.same_image = self.image[:, None] == self.image

    def __call__(self, student: Tensor) -> Tensor:
        """``(M, M)`` to ``(M, )``."""
        raise NotImplementedError


class Relations(Measure):
    """Eq. 4 and 5 between images: ``-KL(p_teacher || p_student)``, ``p_ij = softmax_j(cosine_ij / temperature)``; 0 is best."""

    def __init__(self, teacher: Tensor, cells: int) -> None:
        super().__init__(teacher, cells)
        self.log_teacher = self._log_relations(teacher)

    def __call__(self, student: Tensor) -> Tensor:
        terms = F.kl_div(self._log_relations(student), self.log_teacher, reduction='none', log_target=True)
        return -terms.masked_fill(self.same_image, 0).sum(dim=1)

    def _log_relations(self, cosines: Tensor) -> Tensor:
        return torch.log_softmax((cosines / TEMPERATURE).masked_fill(self.same_image, -torch.inf), dim=1)


class Neighbours(Measure):
    """Share of nearest neighbours that both have in common (mutual kNN, https://arxiv.org/abs/2405.07987); 1 is equal."""

    def __init__(self, teacher: Tensor, cells: int) -> None:
        super().__init__(teacher, cells)
        self.near_teacher = self._nearest(teacher)

    def __call__(self, student: Tensor) -> Tensor:
        return (self._nearest(student) & self.near_teacher).sum(dim=1) / NEIGHBOURS

    def _nearest(self, cosines: Tensor) -> Tensor:
        nearest = cosines.masked_fill(self.same_image, -torch.inf).topk(NEIGHBOURS, dim=1).indices
        return torch.zeros_like(self.same_image).scatter_(1, nearest, True)


class Readout(Measure):
    """R² of the teacher's feature as a linear function of the student's: ridge regression, fitted on every second image and
    judged on the others, both ways; 1 is perfect.
    """

    def __call__(self, student: Tensor) -> Tensor:
        scores = torch.empty_like(student[0])
        for half in (0, 1):
            fitted, held = self.image % 2 == half, self.image % 2 != half
            kernel = student[fitted][:, fitted]
            kernel.diagonal().add_(PENALTY)
            weights = torch.cholesky_solve(student[fitted][:, held], torch.linalg.cholesky(kernel)).mT
            teacher = self.teacher[held][:, fitted]
            squares = self.teacher.diagonal()[held]
            error = squares - 2 * (weights * teacher).sum(dim=1)
            error += (weights @ self.teacher[fitted][:, fitted] * weights).sum(dim=1)
            scores[held] = 1 - error / squares.mean().clamp(min=1e-12)
        return scores


class DebiasedCKA(Measure):
    """Centred kernel alignment with the debiased estimator (https://arxiv.org/abs/2405.01012), each row's part of it times M,
    so that their mean is the batch's; 1 is equal.
    """

    def __init__(self, teacher: Tensor, cells: int) -> None:
        super().__init__(teacher, cells)
        self.debiased_teacher = self._debiased(teacher)

    def __call__(self, student: Tensor) -> Tensor:
        student, teacher = self._debiased(student), self.debiased_teacher
        length = (student.square().sum() * teacher.square().sum()).sqrt().clamp(min=1e-12)
        return (student * teacher).sum(dim=1) * (len(student) / length)

    @staticmethod
    def _debiased(kernel: Tensor) -> Tensor:
        """The unbiased estimator of HSIC is the inner product of two such (Székely and Rizzo, 2014)."""
        size = len(kernel)
        kernel = kernel.clone().fill_diagonal_(0)
        rows = kernel.sum(dim=1)
        kernel = kernel - (rows[:, None] + rows) / (size - 2) + rows.sum() / ((size - 1) * (size - 2))
        return kernel.fill_diagonal_(0)


BETWEEN_IMAGES: dict[str, Callable[[Tensor, int], Measure]] = dict(
    relations=Relations, neighbours=Neighbours, readout=Readout, cka=DebiasedCKA)
"""Name -> measure."""
