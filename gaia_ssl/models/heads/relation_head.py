"""The loss of ReSSL."""

from __future__ import annotations

from mmengine.model import BaseModule
from torch import Tensor
from torch.nn import functional as F

from gaia_ssl.errors import UserError
from gaia_ssl.registry import MODELS


@MODELS.register_module()
class RelationHead(BaseModule):
    """Cross-entropy of the student's relations to a queue for the teacher's (ReSSL, Eq. 3 to 5).

    Args:
        student_temperature: Of the student's softmax over the queue.
        teacher_temperature: Of the teacher's; lower, so that its relations are the sharper ones.
    """

    def __init__(self, student_temperature: float = 0.1, teacher_temperature: float = 0.04,
                 init_cfg: dict | list[dict] | None = None) -> None:
        super().__init__(init_cfg)
        if not (student_temperature > 0 and teacher_temperature > 0):
            raise UserError(f'student_temperature is {student_temperature} and teacher_temperature {teacher_temperature}; '
                            'both must be above 0')
        self.student_temperature = student_temperature
        self.teacher_temperature = teacher_temperature

    def loss(self, student: Tensor, teacher: Tensor) -> Tensor:
        """Mean over images of ``-sum_k softmax(teacher / t_t)_k log softmax(student / t_s)_k``.

        Args:
            student, teacher: Cosines of each image with the keys of the queue, ``(N, K)``.
        """
        return F.cross_entropy(student.float() / self.student_temperature,
                               F.softmax(teacher.float() / self.teacher_temperature, dim=1))
