"""Places in a config: ways through its dicts and lists, written as ``roi_head.bbox_head[0].in_channels``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Place = tuple[str | int, ...]


def places(node: Any, place: Place = ()) -> Iterator[tuple[Place, Any]]:
    """Everything in nested dicts, lists and tuples, outermost first, and where it is."""
    yield place, node
    inner = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list | tuple) else ()
    for key, value in inner:
        yield from places(value, (*place, key))


def value_at(node: Any, place: Place) -> Any:
    """What is at ``place``."""
    for key in place:
        node = node[key]
    return node


def with_value(node: Any, place: Place, value: Any) -> Any:
    """``node`` with another value at ``place``; dicts and lists are changed themselves, tuples are made anew."""
    if not place:
        return value
    key, *rest = place
    inner = with_value(node[key], tuple(rest), value)
    if isinstance(node, tuple):
        return tuple(inner if index == key else old for index, old in enumerate(node))
    node[key] = inner
    return node


def type_name(kind: Any) -> str:
    """The class's name of a ``type``: of a text, which may have a scope, or of a class, as in pure Python configs."""
    return getattr(kind, '__name__', str(kind)).rpartition('.')[2]


def place_name(place: Place) -> str:
    """``place`` as it is written."""
    return ''.join(f'[{key}]' if isinstance(key, int) else f'.{key}' for key in place).removeprefix('.')
