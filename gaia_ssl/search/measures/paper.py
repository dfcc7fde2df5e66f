"""The paper's measure: relations between positions (0 is best), cosine of embeddings (1 is best); more is better."""

from torch import Tensor
from torch.nn import functional as F

from gaia_ssl.models.relations import log_relations

MAX_ELEMENTS = 2**22
"""Most relations in memory at a time, counted over images (16 MB); further rows are done in turn."""
MAX_KEPT = 2**24
"""Most relations of a teacher's map that are kept for the next student (64 MB): those of C2 at 224 px are not."""


class RelationTarget:
    """The teacher's side of :func:`relation_similarity`, for many students.

    Args:
        teacher: ``(N, C, H, W)``.
        temperature: Of the softmax.
    """

    def __init__(self, teacher: Tensor, temperature: float = 0.2) -> None:
        self.shape = teacher.shape
        self.temperature = temperature
        self._features = F.normalize(teacher.float().flatten(2), dim=1)
        images, positions = len(teacher), teacher.shape[2:].numel()
        self.rows = max(1, MAX_ELEMENTS // (images * positions))
        self._kept: dict[int, Tensor] | None = {} if images * positions**2 <= MAX_KEPT else None

    def log_relations(self, start: int) -> Tensor:
        """Rows ``start:start + rows`` of the log of the relations, ``(N, rows, P)``."""
        if self._kept is None:
            return log_relations(self._features, start, start + self.rows, self.temperature)
        if start not in self._kept:
            self._kept[start] = log_relations(self._features, start, start + self.rows, self.temperature)
        return self._kept[start]


def relation_similarity(student: Tensor, target: RelationTarget) -> Tensor:
    """Similarity of the relations between positions (Eq. 4 and 5), which needs no equal channel counts.

    With the features of all P positions L2-normalised, position i relates to position j by
    ``p_ij = softmax_j(m_i . m_j / temperature)``. The result is ``-KL(p_teacher || p_student)``, mean over i: 0 where all
    relations agree, negative otherwise. Eq. 5 as printed is the cross-entropy, which differs by the teacher's entropy.

    Args:
        student: ``(N, C', H, W)``.
        target: Of a teacher's ``(N, C, H, W)``.

    Returns:
        ``(N,)``, float32.
    """
    if student.shape[2:] != target.shape[2:]:
        raise ValueError(f'feature maps of {tuple(student.shape)} and {tuple(target.shape)} have different positions')
    student = F.normalize(student.float().flatten(2), dim=1)
    images, _, positions = student.shape
    divergence = student.new_zeros(images)
    for start in range(0, positions, target.rows):
        log_student = log_relations(student, start, start + target.rows, target.temperature)
        log_teacher = target.log_relations(start)
        divergence += F.kl_div(log_student, log_teacher, reduction='none', log_target=True).sum(dim=(1, 2))
    return -divergence / positions


def embedding_similarity(student: Tensor, teacher: Tensor) -> Tensor:
    """Cosine of two embeddings ``(N, D)``: ``(N,)``, float32."""
    return F.cosine_similarity(student.float(), teacher.float(), dim=1)
