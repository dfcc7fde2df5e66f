"""Which features a task compares (section 3.3, "Task-aware metrics")."""

from collections.abc import Iterable

from gaia_ssl.errors import UserError
from gaia_ssl.models.backbones.bottleneck_resnet import STAGES

TASKS: dict[str, tuple[str, ...]] = {
    'z': ('z', ),  # image classification: the embedding
    'c5': ('c5', ),  # Faster R-CNN C4
    'c4-c5': ('c4', 'c5'),  # segmentation
    'c2-c5': STAGES,  # detectors with FPN
}
"""Task -> features. A task's similarity is the mean over its features."""


def features_of(tasks: Iterable[str]) -> tuple[str, ...]:
    """The features that ``tasks`` need, each once, in the order c2 … c5, z.

    Raises:
        UserError: If a task is unknown or there is none.
    """
    tasks = list(tasks)
    for task in tasks:
        if task not in TASKS:
            raise UserError(f"'{task}' is not a task; choose from {', '.join(TASKS)}")
    if not tasks:
        raise UserError(f"no task is given; choose from {', '.join(TASKS)}")
    needed = {feature for task in tasks for feature in TASKS[task]}
    return tuple(feature for feature in (*STAGES, 'z') if feature in needed)


def similarity_label(task: str) -> str:
    """What the similarity of ``task`` is, for the axis of a picture."""
    return 'mean cosine with the teacher' if task == 'z' else 'similarity to the teacher (nats, 0 is equal)'
