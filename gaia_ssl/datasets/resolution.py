"""The side of the images that a pipeline puts out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from gaia_ssl.config_place import places, type_name

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
    return ((type_name(each['type']), each) for _, each in places(node)
            if isinstance(each, dict) and each.get('type') is not None)
