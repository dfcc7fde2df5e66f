"""How a supernet's images are normalised, in plain values."""

from __future__ import annotations

from typing import Any

from torch import nn


def normalisation_of(preprocessor: nn.Module) -> dict[str, Any]:
    """``mean``, ``std`` (one number a channel, of images from 0 to 255) and ``to_rgb`` of mmpretrain's data preprocessor."""
    normalises = hasattr(preprocessor, 'mean')
    return dict(
        mean=preprocessor.mean.flatten().tolist() if normalises else [0.0] * 3,
        std=preprocessor.std.flatten().tolist() if normalises else [1.0] * 3,
        to_rgb=bool(preprocessor._channel_conversion),
    )
