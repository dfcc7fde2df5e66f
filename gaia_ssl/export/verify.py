"""Proof that an extracted subnet computes what the supernet computes at its arch."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from gaia_ssl.models import DynamicResNet, SubnetResNet


class VerificationError(AssertionError):
    """What was exported and what it came from disagree: a defect of gaia_ssl, not of the input."""


def compare_features(expected: Sequence[Tensor], actual: Sequence[Tensor], tolerance: float, what: str, source: str,
                     stages: Sequence[int] = (0, 1, 2, 3)) -> float:
    """The largest difference between feature maps, relative to the largest feature of the map; 0.0 is equality to the bit.

    Args:
        expected: A map for each of ``stages``.
        actual: The same, of what was exported.
        tolerance: Largest difference allowed.
        what: What was exported, for the error.
        source: What it was made from, for the error.
        stages: Which of C2 (0) to C5 (3) the maps are.

    Raises:
        VerificationError: If a map has another shape or differs by more.
    """
    shapes = [[tuple(value.shape) for value in maps] for maps in (expected, actual)]
    if shapes[0] != shapes[1]:
        raise VerificationError(f'{what} has features of {shapes[1]}, {source} of {shapes[0]}; please report this')
    pairs = zip(expected, actual, strict=True)
    differences = [float((a - b).abs().max() / a.abs().max().clamp(min=1e-12)) for a, b in pairs]
    if not all(difference <= tolerance for difference in differences):  # true of NaN, too
        each = ', '.join(f'C{index + 2}: {difference:.1e}' for index, difference in zip(stages, differences, strict=True))
        raise VerificationError(f'{what} differs from {source} by {each}; please report this')
    return max(differences)


@torch.no_grad()
def verify_subnet(supernet: DynamicResNet, subnet: SubnetResNet, images: Tensor, tolerance: float = 1e-5) -> float:
    """Compare C2 to C5 of both in eval mode, the supernet with the subnet's batch norm statistics in its leading slices.

    Args:
        supernet: The backbone at ``space.max``; its batch norm statistics are overwritten.
        subnet: The static network.
        images: ``(N, 3, H, W)``, normalised.
        tolerance: Largest difference allowed, relative to the largest feature of the map.

    Returns:
        The largest relative difference found; 0.0 is equality to the bit.

    Raises:
        VerificationError: If a map differs by more.
    """
    source = supernet.state_dict()
    for name, value in subnet.state_dict().items():
        if name.endswith(('running_mean', 'running_var')):
            source[name][:len(value)] = value  # state_dict shares memory with the module
    kept = supernet.out_indices, subnet.out_indices
    supernet.out_indices = subnet.out_indices = (0, 1, 2, 3)
    try:
        supernet.set_arch(subnet.arch)
        return compare_features(supernet.eval()(images), subnet.eval()(images), tolerance, f'the exported {subnet.arch}',
                                'the supernet')
    finally:
        supernet.out_indices, subnet.out_indices = kept
