"""Which images, and in which batches."""

from __future__ import annotations


def evenly_spaced(total: int, count: int | None) -> list[int]:
    """``count`` indices evenly spaced over ``range(total)``; all of them for None or where there are no more."""
    count = min(total, count or total)
    return [index * total // count for index in range(count)]


def in_batches(indices: list[int], size: int) -> list[list[int]]:
    """``indices`` in batches of ``size``; the last one may be smaller, but is never a single image unless that is all.

    A single image has no useful batch statistics.
    """
    batches = [indices[start:start + size] for start in range(0, len(indices), size)]
    if len(batches) > 1 and len(batches[-1]) == 1:
        batches[-2:] = [batches[-2] + batches[-1]]
    return batches


def in_even_batches(indices: list[int], size: int) -> list[list[int]]:
    """``indices`` in as few batches of at most ``size`` as hold them, whose sizes differ by one at most."""
    count = -(-len(indices) // size)
    bounds = [index * len(indices) // count for index in range(count + 1)]
    return [indices[start:stop] for start, stop in zip(bounds, bounds[1:], strict=False)]
