"""The rivals' scores of many archs."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd
from torch import Tensor

from gaia_ssl.errors import UserError
from gaia_ssl.evaluation.latency import network_latencies
from gaia_ssl.evaluation.rivals.az_nas import PROXIES, az_nas, az_nas_proxies
from gaia_ssl.evaluation.rivals.naswot import naswot
from gaia_ssl.evaluation.rivals.synflow import synflow
from gaia_ssl.evaluation.rivals.untrained import untrained
from gaia_ssl.evaluation.rivals.zico import zico
from gaia_ssl.evaluation.score_file import keep_scores
from gaia_ssl.models import SubnetResNet
from gaia_ssl.precision import full_float32
from gaia_ssl.space import Arch
from gaia_ssl.terminal import say

RIVALS = {
    'latency': 'its latency on this machine, one image at a time',
    'synflow': 'SynFlow at initialisation',
    'naswot': 'NASWOT at initialisation',
    'zico': 'ZiCo at initialisation, with labels',
    'az-nas': 'AZ-NAS at initialisation',
    'rankme': "RankMe of the supernet's subnet",
}
"""Rival -> what it ranks by. The last needs the supernet, but no label."""
RIVAL_IMAGES = 64
"""How many images suffice; ZiCo's two batches are halves of them."""
RIVAL_FILES = ('synflow', 'naswot', 'zico', *PROXIES)
"""The scores that are kept, a file each."""


@full_float32()
def score_rivals(rivals: Sequence[str], archs: Sequence[Arch], stem_kernel: int, images: Tensor, labels: Tensor,
                 folder: str | os.PathLike, settings: dict[str, Any], seed: int = 0,
                 report: Callable[[str], None] = say) -> pd.DataFrame:
    """Score archs without weights, each score kept in ``folder`` as it comes, so that the next call does what is missing.

    Args:
        rivals: Of :data:`RIVALS`, but ``'rankme'``.
        archs: To score.
        stem_kernel: Of the networks.
        images: ``(N, C, H, W)``, N at least 4, of all classes in turn; their side is that of all input.
        labels: ``(N,)``, from 0 on.
        folder: Holds a CSV file a score.
        settings: What decides the images, in plain values.
        seed: Of all that is drawn.
        report: Where progress goes.

    Returns:
        A row an arch: ``arch`` and a column a rival.

    Raises:
        UserError: If ``folder`` holds scores of other settings, the latency of other than three channels is asked for, or a
            rival has no finite score of an arch.
    """
    shape, resolution, device = images.shape[1:], images.shape[-1], images.device
    in_channels = shape[0]
    if 'latency' in rivals and in_channels != 3:
        raise UserError('latencies are measured of networks for three channels; name the rivals but latency after --rivals')
    halves = [(images[start::2], labels[start::2]) for start in range(2)]
    compute_one: dict[str, Callable[[SubnetResNet], dict[str, float]]] = {
        'synflow': lambda net: dict(synflow=synflow(net, shape)),
        'naswot': lambda net: dict(naswot=naswot(net, halves[0][0])),
        'zico': lambda net: dict(zico=zico(net, halves, int(labels.max()) + 1, seed)),
        'az-nas': lambda net: az_nas_proxies(net, shape, seed),
    }
    columns = {rival: PROXIES if rival == 'az-nas' else (rival, ) for rival in rivals if rival != 'latency'}

    def compute(arch: Arch, missing: Sequence[str]) -> dict[str, float]:
        net = untrained(arch, stem_kernel, seed, in_channels).to(device)
        found: dict[str, float] = {}
        for rival, names in columns.items():
            if set(names) & set(missing):
                found |= compute_one[rival](net)
        if wrong := [name for name, value in found.items() if not math.isfinite(value)]:
            raise UserError(f'{wrong[0]} of {arch} is {found[wrong[0]]}; leave that rival out of --rivals')
        return {name: found[name] for name in missing}

    names = [name for each in columns.values() for name in each]
    settings = dict(settings, stem_kernel=stem_kernel, shape=list(shape), seed=seed)
    table = keep_scores(archs, names, compute, folder, settings, 'subnets, rivals', report)
    if 'az-nas' in columns:
        flops = [arch.flops(resolution, stem_kernel, in_channels) for arch in archs]
        table['az-nas'] = az_nas(table[list(PROXIES)].assign(flops=flops))
    if 'latency' in rivals:
        table['latency'] = network_latencies(archs, stem_kernel, device.type, resolution=resolution)
    return table[['arch', *rivals]]
