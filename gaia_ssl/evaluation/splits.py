"""A small share of the labels, the same from each class."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np

from gaia_ssl.errors import UserError
from gaia_ssl.files import atomic_path


def stratified_split(labels: Sequence[int] | np.ndarray, classes: Sequence[str], share: float, seed: int) -> list[int]:
    """Draw ``share`` of the images of each class, rounded, without replacement.

    With the same seed, a smaller share is part of a larger one.

    Args:
        labels: Class of each image, ``(N,)``, as an index into ``classes``.
        classes: Names, for the message.
        share: In (0, 1].
        seed: Of the draw.

    Returns:
        Sorted indices into ``labels``.

    Raises:
        UserError: If a class would get no image.
    """
    if not 0 < share <= 1:
        raise UserError(f'the share of labels is {share}; give one above 0 and up to 1')
    array = np.asarray(labels)
    members = [np.flatnonzero(array == number) for number in range(len(classes))]
    counts = [int(share * len(images) + 0.5) for images in members]
    if 0 in counts:
        empty = [f'{name} ({len(images)})' for name, images, count in zip(classes, members, counts, strict=True) if not count]
        raise UserError(f'{share:.0%} of the images is none in {len(empty)} of {len(classes)} classes, e.g. {empty[0]}; take a '
                        f'larger share, or {int(np.ceil(0.5 / share))} images of each class')
    rng = np.random.default_rng(seed)
    drawn = [rng.permutation(images)[:count] for images, count in zip(members, counts, strict=True)]
    return sorted(np.concatenate(drawn).tolist())


def write_split(path: str | os.PathLike, files: Sequence[str], labels: Sequence[int], indices: Sequence[int]) -> None:
    """Write lines ``FILE LABEL``, as ``ann_file`` of mmpretrain's data sets has them, atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(''.join(f'{files[index]} {labels[index]}\n' for index in indices), encoding='utf-8')
