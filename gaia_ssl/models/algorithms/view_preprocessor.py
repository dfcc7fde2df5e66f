"""Views on their way from the data loader to the networks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmpretrain.models import SelfSupDataPreprocessor
from torch import Tensor

from gaia_ssl.registry import MODELS


@MODELS.register_module()
class ViewPreprocessor(SelfSupDataPreprocessor):
    """mmpretrain's ``SelfSupDataPreprocessor`` to the bit, for which the host never waits for a GPU.

    It copies without waiting, and changes the channels' order by a flip, where an index would first have to get there.

    Args:
        mean, std: One number a channel, for images of any number of channels; or neither.
        to_rgb, …: As in mmpretrain.
        non_blocking: Copy without waiting; takes effect from the pinned memory of a loader.
    """

    def __init__(self, mean: Sequence[float] | None = None, std: Sequence[float] | None = None, non_blocking: bool = True,
                 **kwargs: Any) -> None:
        super().__init__(non_blocking=non_blocking, **kwargs)
        if mean is not None and std is not None:  # for mmengine, images have one channel or three
            self._enable_normalize = True
            for name, values in (('mean', mean), ('std', std)):
                self.register_buffer(name, torch.tensor(values, dtype=torch.float32).view(-1, 1, 1), persistent=False)

    def forward(self, data: dict, training: bool = False) -> dict[str, Any]:
        """Normalised ``inputs``, one batch ``(N, 3, H, W)`` or a list of them as in ``data``, and the ``data_samples``."""
        inputs, samples = self.cast_data(list(data.values()))
        views = list(map(self._normalise, inputs)) if isinstance(inputs, list) else self._normalise(inputs)
        return dict(inputs=views, data_samples=samples)

    def _normalise(self, views: Tensor) -> Tensor:
        views = (views.flip(1) if self._channel_conversion else views).float()
        return (views - self.mean) / self.std if self._enable_normalize else views
