"""What a task compares, and by which measure."""

from __future__ import annotations

from collections.abc import Iterable

from gaia_ssl.errors import UserError
from gaia_ssl.models.backbones.bottleneck_resnet import STAGES
from gaia_ssl.search.measures.between_images import BETWEEN_IMAGES
from gaia_ssl.search.measures.target import PAPER

TASKS: dict[str, tuple[str, ...]] = {
    'z': ('z', ),  # image classification: the embedding
    'c5': ('c5', ),  # Faster R-CNN C4
    'c4-c5': ('c4', 'c5'),  # segmentation
    'c2-c5': STAGES,  # detectors with FPN
}
"""Task -> features that the paper compares (section 3.3, "Task-aware metrics")."""

POOLED = 'gap'
"""C5 averaged over its positions, as classifiers see it: what measures between images compare for the task ``z``. (The neck
that makes z of it is a training's, not a classifier's.)"""
STAGE_OF = dict(zip(STAGES, range(4), strict=True)) | {POOLED: 3, 'z': 3}
"""Feature -> the stage (0 to 3) that it is read off."""

MEASURES: dict[str, tuple[str, ...]] = {
    'paper': (PAPER, ), **{name: (name, ) for name in BETWEEN_IMAGES}, 'combined': ('relations', 'readout')}
"""Name of a measure -> what it combines. A task's similarity is the mean over its features, by the paper's measure, or
over its features and what is combined, each brought to one scale (:class:`~gaia_ssl.search.task_scores.TaskScores`)."""

DEFAULT_MEASURES = {'z': 'relations'}
"""Task -> the measure that predicts its scores best (docs/reproduction.md); the paper's where nothing better was found."""
PROVEN = {'z': ('relations', 'combined')}
"""Task -> the measures that rank its subnets within a budget group better than FLOPs alone (docs/reproduction.md)."""


def measure_for(task: str, measure: str | None) -> str:
    """``measure``, or the task's default for None."""
    return DEFAULT_MEASURES.get(task, 'paper') if measure is None else measure


def doubt_of(task: str, measure: str | None) -> str:
    """What is not known of choosing for a task by a measure, in a sentence; empty where it was found to beat FLOPs alone."""
    measure = measure_for(task, measure)
    if measure in PROVEN.get(task, ()):
        return ''
    return f"{task}: it is not known whether the measure '{measure}' chooses among subnets of like cost better than FLOPs alone"


def quantities_of_task(task: str, measure: str | None = None) -> tuple[str, ...]:
    """What is scored for a task: a feature by the paper's measure, e.g. ``c5``, or ``feature:measure``, e.g. ``c5:relations``.

    Raises:
        UserError: If the task or the measure is unknown.
    """
    if task not in TASKS:
        raise UserError(f"'{task}' is not a task; choose from {', '.join(TASKS)}")
    measure = measure_for(task, measure)
    if not isinstance(measure, str) or measure not in MEASURES:
        raise UserError(f"'{measure}' is not a measure; choose from {', '.join(MEASURES)}")
    features = (POOLED, ) if task == 'z' and measure != 'paper' else TASKS[task]
    return tuple(f'{feature}:{name}' if name else feature for feature in features for name in MEASURES[measure])


def quantities_of(tasks: Iterable[str], measure: str | None = None) -> tuple[str, ...]:
    """What ``tasks`` need, each once, by the order of computation.

    Raises:
        UserError: If a task or the measure is unknown, or there is no task.
    """
    tasks = list(tasks)
    if not tasks:
        raise UserError(f"no task is given; choose from {', '.join(TASKS)}")
    needed = dict.fromkeys(quantity for task in tasks for quantity in quantities_of_task(task, measure))
    return tuple(sorted(needed, key=lambda quantity: list(STAGE_OF).index(feature_of(quantity))))


def feature_of(quantity: str) -> str:
    """E.g. ``c5`` of ``c5:relations``."""
    return quantity.partition(':')[0]


def measure_of(quantity: str) -> str:
    """E.g. ``relations`` of ``c5:relations``; :data:`~gaia_ssl.search.measures.target.PAPER` of ``c5``."""
    return quantity.partition(':')[2]


def relates_images(quantity: str) -> bool:
    """Whether a quantity relates the images of a batch to one another."""
    return measure_of(quantity) != PAPER


def similarity_label(task: str, measure: str | None = None) -> str:
    """What the similarity of ``task`` is, for the axis of a picture; ``measure`` None is not known."""
    if measure is None:
        return 'similarity to the teacher'
    if measure != 'paper':
        return 'similarity to the teacher (SD within groups, 0 is the mean)'
    return 'mean cosine with the teacher' if task == 'z' else 'similarity to the teacher (nats, 0 is equal)'
