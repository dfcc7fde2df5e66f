"""Relations between the positions of a feature map (Eq. 4 and 5), which need no equal channel counts."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def log_relations(features: Tensor, start: int, stop: int, temperature: float) -> Tensor:
    """Rows ``start:stop`` of the log of the relations of unit ``(N, C, P)``: ``(N, rows, P)``.

    Position i relates to position j by ``p_ij = softmax_j(m_i . m_j / temperature)``.
    """
    return torch.log_softmax(features[:, :, start:stop].mT @ features / temperature, dim=-1)


def relation_divergence(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """``KL(p_teacher || p_student)`` of the relations, mean over positions and images: a scalar, float32.

    The negative of the search's similarity, to be trained on. Maps of unequal size meet on the smaller grid.

    Args:
        student: ``(N, C', H', W')``.
        teacher: ``(N, C, H, W)``.
        temperature: Of the softmax.
    """
    grid = smaller_grid(student.shape[2:], teacher.shape[2:])
    with torch.autocast(student.device.type, enabled=False):
        log_student, log_teacher = (
            log_relations(F.normalize(pool_to(maps.float(), grid).flatten(2), dim=1), 0, grid[0] * grid[1], temperature)
            for maps in (student, teacher))
        return F.kl_div(log_student, log_teacher, reduction='none', log_target=True).sum(dim=2).mean()


def smaller_grid(one: tuple[int, int], other: tuple[int, int]) -> tuple[int, int]:
    """``(height, width)`` that two maps of these sizes are pooled to before they are compared: nothing is made up."""
    return min(one[0], other[0]), min(one[1], other[1])


def pool_to(maps: Tensor, grid: tuple[int, int]) -> Tensor:
    """``(N, C, H, W)`` averaged to ``(N, C, *grid)``; as it is where it has that size."""
    return maps if tuple(maps.shape[2:]) == tuple(grid) else F.adaptive_avg_pool2d(maps, grid)
