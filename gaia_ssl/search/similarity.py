"""How close a student's feature comes to the teacher's. Zero (maps) or one (embeddings) is best; more is better."""

import torch
from torch import Tensor
from torch.nn import functional as F

MAX_ELEMENTS = 2**22
"""Most relations in memory at a time, counted over images (16 MB); further rows are done in turn."""


def relation_similarity(student: Tensor, teacher: Tensor, temperature: float = 0.2) -> Tensor:
    """Similarity of the relations between positions (Eq. 4 and 5), which needs no equal channel counts.

    With the features of all P positions L2-normalised, position i relates to position j by
    ``p_ij = softmax_j(m_i . m_j / temperature)``. The result is ``-KL(p_teacher || p_student)``, mean over i: 0 where all
    relations agree, negative otherwise. Eq. 5 as printed is the cross-entropy, which differs by the teacher's entropy.

    Args:
        student: ``(N, C', H, W)``.
        teacher: ``(N, C, H, W)``.
        temperature: Of the softmax.

    Returns:
        ``(N,)``, float32.
    """
    if student.shape[2:] != teacher.shape[2:]:
        raise ValueError(f'feature maps of {tuple(student.shape)} and {tuple(teacher.shape)} have different positions')
    student = F.normalize(student.float().flatten(2), dim=1)
    teacher = F.normalize(teacher.float().flatten(2), dim=1)
    images, _, positions = student.shape
    rows = max(1, MAX_ELEMENTS // (images * positions))
    divergence = student.new_zeros(images)
    for start in range(0, positions, rows):
        log_student = _log_relations(student, start, start + rows, temperature)
        log_teacher = _log_relations(teacher, start, start + rows, temperature)
        divergence += F.kl_div(log_student, log_teacher, reduction='none', log_target=True).sum(dim=(1, 2))
    return -divergence / positions


def embedding_similarity(student: Tensor, teacher: Tensor) -> Tensor:
    """Cosine of two embeddings ``(N, D)``: ``(N,)``, float32."""
    return F.cosine_similarity(student.float(), teacher.float(), dim=1)


def _log_relations(features: Tensor, start: int, stop: int, temperature: float) -> Tensor:
    """Rows ``start:stop`` of the log of the relations of ``(N, C, P)``: ``(N, rows, P)``."""
    return torch.log_softmax(features[:, :, start:stop].mT @ features / temperature, dim=-1)
