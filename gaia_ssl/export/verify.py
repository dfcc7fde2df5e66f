"""Proof that an extracted subnet computes what the supernet computes at its arch."""

from __future__ import annotations

import torch
from torch import Tensor

from gaia_ssl.models import DynamicResNet, SubnetResNet


class VerificationError(AssertionError):
    """The extracted subnet and the supernet disagree: a defect of gaia_ssl, not of the input."""


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
        pairs = zip(supernet.eval()(images), subnet.eval()(images), strict=True)
        differences = [float((a - b).abs().max() / a.abs().max().clamp(min=1e-12)) for a, b in pairs]
    finally:
        supernet.out_indices, subnet.out_indices = kept
    if not all(difference <= tolerance for difference in differences):  # true of NaN, too
        each = ', '.join(f'C{index}: {difference:.1e}' for index, difference in enumerate(differences, start=2))
        raise VerificationError(f'the exported {subnet.arch} differs from the supernet by {each}; please report this')
    return max(differences)
