"""The side of the images that a pipeline puts out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

_SIDE = {'RandomResizedCrop': 'scale', 'CenterCrop': 'crop_size'}
"""Transforms that decide it, and their setting."""


def short_edge(resolution: int) -> int:
    """To which the short edge is resized before the central square of ``resolution`` is cut out, as in mmpretrain's configs."""
    return round(resolution * 8 / 7)


def resolution_of(pipeline: Sequence[dict]) -> int | None:
    """The side in pixels; of several views the largest; None where no transform tells it."""
    sides = [transform.get(_SIDE[name]) for name, transform in _transforms(pipeline) if name in _SIDE]
    known = [max(side) if isinstance(side, list | tuple) else side for side in sides]
    return max((side for side in known if isinstance(side, int)), default=None)


def set_resolution(pipeline: Sequence[dict], resolution: int) -> None:
    """Let a pipeline, which is changed, put out images of ``resolution``."""
    for name, transform in _transforms(pipeline):
        if name in _SIDE:
            transform[_SIDE[name]] = resolution
        elif name == 'ResizeEdge':
            transform['scale'] = short_edge(resolution)


def _transforms(node: Any) -> Iterator[tuple[str, dict]]:
    """Name, without scope, and config of every transform in nested ones."""
    if isinstance(node, dict):
        kind = node.get('type')
        if kind is not None:
            yield getattr(kind, '__name__', str(kind)).rpartition('.')[2], node
        for value in node.values():
            yield from _transforms(value)
    elif isinstance(node, list | tuple):
        for value in node:
            yield from _transforms(value)
