"""Pooled features of images, kept so that the same network sees the same images once."""

from __future__ import annotations

import hashlib
import json
import os
import pathlib
from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor, nn

from gaia_ssl.datasets.center_crops import CenterCrops
from gaia_ssl.files import atomic_path
from gaia_ssl.precision import full_float32


@torch.no_grad()
@full_float32()
def pooled_features(net: nn.Module, batches: Iterable[Tensor]) -> np.ndarray:
    """Average-pooled C5 of each image, ``(N, channels)``.

    Args:
        net: Takes ``(N, 3, H, W)`` and puts out feature maps, C5 last; run in the mode that it is in.
        batches: Such images, on the network's device.
    """
    return torch.cat([net(batch.contiguous(memory_format=torch.channels_last))[-1].float().mean(dim=(2, 3)).cpu()
                      for batch in batches]).numpy()


def cached_features(net: nn.Module, images: CenterCrops, fingerprint: str, folder: str | os.PathLike) -> np.ndarray:
    """:func:`pooled_features` of ``images``, read from ``folder`` where they lie there.

    Args:
        net: In eval mode, so that an image's features do not depend on its batch.
        images: The images.
        fingerprint: What the images are, of :func:`gaia_ssl.datasets.fingerprint.images_fingerprint`.
        folder: Files are named by the hash of weights, images, and how they are shown.
    """
    shown = [images.resolution, list(images.mean), list(images.std), images.to_rgb]
    if images.pixel_range is not None:
        shown.append(images.pixel_range.arguments())
    key = hashlib.sha256(json.dumps([weights_hash(net), fingerprint, shown]).encode()).hexdigest()
    path = pathlib.Path(folder) / f'{key}.npy'
    if path.is_file():
        try:
            return np.load(path, allow_pickle=False)
        except (ValueError, EOFError):  # damaged since
            images.report(f'{path} is damaged; computed again')
    features = pooled_features(net, images)
    with atomic_path(path) as temporary:
        np.save(temporary, features)
    return features


def weights_hash(net: nn.Module) -> str:
    """SHA-256, in hex, of a network's parameters and statistics, by name."""
    digest = hashlib.sha256()
    for name, value in net.state_dict().items():
        digest.update(f'{name} {value.dtype} {tuple(value.shape)}\n'.encode())
        digest.update(value.cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
