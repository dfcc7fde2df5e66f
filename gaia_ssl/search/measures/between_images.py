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
    """``(N, cells, C)``, less the mean, to the cosines ``(M, M)`` of all ``M = N * cells`` with one another."""
    rows = cells.flatten(0, 1)
    rows = F.normalize(rows - rows.mean(dim=0), dim=1)
    return rows @ rows.mT


class Measure:
    """How close a student's cosines come to a teacher's; more is better. What is not finite gives NaN.

    Args:
        teacher: :func:`centred_cosines` of its feature, ``(M, M)``.
        cells: An image's; those of one image are not compared with each other.
    """

    def __init__(self, teacher: Tensor, cells: int) -> None:
        raise NotImplementedError

    def __call__(self, student: Tensor) -> Tensor:
        """``(M, M)`` to ``(M, )``."""
        raise NotImplementedError


class Relations(Measure):
    """Eq. 4 and 5 between images: ``-KL(p_teacher || p_student)``, ``p_ij = softmax_j(cosine_ij / temperature)``; 0 is best."""

    def __init__(self, teacher: Tensor, cells: int) -> None:
        self._same_image = _same_image(teacher, cells)
        self._log_teacher = self._log_relations(teacher)

    def __call__(self, student: Tensor) -> Tensor:
        terms = F.kl_div(self._log_relations(student), self._log_teacher, reduction='none', log_target=True)
        return -terms.masked_fill(self._same_image, 0).sum(dim=1)

    def _log_relations(self, cosines: Tensor) -> Tensor:
        return torch.log_softmax((cosines / TEMPERATURE).masked_fill(self._same_image, -torch.inf), dim=1)


class Neighbours(Measure):
    """Share of nearest neighbours that both have in common (mutual kNN, https://arxiv.org/abs/2405.07987); 1 is equal."""

    def __init__(self, teacher: Tensor, cells: int) -> None:
        self._same_image = _same_image(teacher, cells)
        self._near_teacher = self._nearest(teacher)

    def __call__(self, student: Tensor) -> Tensor:
        shares = (self._nearest(student) & self._near_teacher).sum(dim=1) / NEIGHBOURS
        return shares + 0 * student.diagonal()  # topk takes NaN for a neighbour

    def _nearest(self, cosines: Tensor) -> Tensor:
        nearest = cosines.masked_fill(self._same_image, -torch.inf).topk(NEIGHBOURS, dim=1).indices
        return torch.zeros_like(self._same_image).scatter_(1, nearest, True)


class Readout(Measure):
    """Share of the teacher's feature, by its squared length, that a linear function of the student's explains; 1 is all.

    Ridge regression, fitted on every second image and judged on the others, both ways.
    """

    def __init__(self, teacher: Tensor, cells: int) -> None:
        rows = torch.arange(len(teacher), device=teacher.device).view(-1, cells)
        halves = [rows[half::2].flatten() for half in (0, 1)]
        self._order = torch.argsort(torch.cat(halves))
        self._splits = [_Split(teacher, fitted, held) for fitted, held in (halves[::-1], halves)]

    def __call__(self, student: Tensor) -> Tensor:
        return torch.cat([split.explained(student) for split in self._splits])[self._order]


class _Split:
    """Rows to fit on and rows to judge on; the latter of the first split come first."""

    def __init__(self, teacher: Tensor, fitted: Tensor, held: Tensor) -> None:
        self._fitted, self._held = fitted, held
        self._of_fitted, self._of_held = teacher[fitted][:, fitted], teacher[held][:, fitted]
        self._squares = teacher.diagonal()[held]
        self._mean_square = self._squares.mean().clamp(min=1e-12)

    def explained(self, student: Tensor) -> Tensor:
        """Of each held-out row."""
        rows = student[self._fitted]
        kernel = rows[:, self._fitted]
        kernel.diagonal().add_(PENALTY)
        factor, failed = torch.linalg.cholesky_ex(kernel)
        weights = torch.cholesky_solve(rows[:, self._held], factor).mT
        error = self._squares - 2 * (weights * self._of_held).sum(dim=1) + (weights @ self._of_fitted * weights).sum(dim=1)
        return torch.where(failed == 0, 1 - error / self._mean_square, torch.nan)


class DebiasedCKA(Measure):
    """Centred kernel alignment of images with the debiased estimator (https://arxiv.org/abs/2405.01012); 1 is equal.

    Two images' kernel is the mean over their cells. Each image has its part of the sum times their number, so that the mean is
    the batch's.
    """

    def __init__(self, teacher: Tensor, cells: int) -> None:
        self._cells = cells
        self._debiased_teacher = self._debiased(teacher)

    def __call__(self, student: Tensor) -> Tensor:
        student, teacher = self._debiased(student), self._debiased_teacher
        length = (student.square().sum() * teacher.square().sum()).sqrt().clamp(min=1e-12)
        return ((student * teacher).sum(dim=1) * (len(student) / length)).repeat_interleave(self._cells)

    def _debiased(self, cosines: Tensor) -> Tensor:
        """The unbiased estimator of HSIC is the inner product of two such (Székely and Rizzo, 2014)."""
        kernel = cosines.unflatten(0, (-1, self._cells)).unflatten(2, (-1, self._cells)).mean(dim=(1, 3))
        size = len(kernel)
        kernel = kernel.fill_diagonal_(0)
        rows = kernel.sum(dim=1)
        kernel = kernel - (rows[:, None] + rows) / (size - 2) + rows.sum() / ((size - 1) * (size - 2))
        return kernel.fill_diagonal_(0)


def _same_image(cosines: Tensor, cells: int) -> Tensor:
    """``(M, M)``, which cells are of one image."""
    image = torch.arange(len(cosines), device=cosines.device) // cells
    return image[:, None] == image


BETWEEN_IMAGES: dict[str, Callable[[Tensor, int], Measure]] = dict(
    relations=Relations, neighbours=Neighbours, readout=Readout, cka=DebiasedCKA)
"""Name -> measure."""
