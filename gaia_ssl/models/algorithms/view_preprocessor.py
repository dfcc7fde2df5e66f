"""Views on their way from the data loader to the networks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from mmengine.dist import get_rank
from mmengine.logging import MessageHub
from mmpretrain.models import SelfSupDataPreprocessor
from torch import Tensor

from gaia_ssl.registry import MODELS

if TYPE_CHECKING:
    from gaia_ssl.models.views import ChangedViews


@MODELS.register_module()
class ViewPreprocessor(SelfSupDataPreprocessor):
    """mmpretrain's ``SelfSupDataPreprocessor`` to the bit, for which the host never waits for a GPU.

    It copies without waiting, and changes the channels' order by a flip, where an index would first have to get there.

    With ``views`` it also makes the views out of the loader's crops, on the device. What it draws follows from the run's seed,
    the iteration and the process, so that a resumed run draws the same.

    Args:
        mean, std: One number a channel, for images of any number of channels; or neither.
        to_rgb, …: As in mmpretrain.
        non_blocking: Copy without waiting; takes effect from the pinned memory of a loader.
        views: Of each view in training the changes that are left to do, as in
            :class:`~gaia_ssl.models.views.ChangedViews`; by default none.
    """

    def __init__(self, mean: Sequence[float] | None = None, std: Sequence[float] | None = None, non_blocking: bool = True,
                 views: Sequence[Sequence[Mapping[str, Any]]] | None = None, **kwargs: Any) -> None:
        super().__init__(non_blocking=non_blocking, **kwargs)
        if mean is not None and std is not None:  # for mmengine, images have one channel or three
            self._enable_normalize = True
            for name, values in (('mean', mean), ('std', std)):
                self.register_buffer(name, torch.tensor(values, dtype=torch.float32).view(-1, 1, 1), persistent=False)
        self._views: list[ChangedViews] | None = None
        if views is not None:
            from gaia_ssl.models.views import ChangedViews  # which takes mmpretrain's data sets along, and seconds
            self._views = list(map(ChangedViews, views))

    def forward(self, data: dict, training: bool = False) -> dict[str, Any]:
        """Normalised ``inputs``, one batch ``(N, 3, H, W)`` or a list of them as in ``data``, and the ``data_samples``."""
        inputs, samples = self.cast_data(list(data.values()))
        if training and self._views is not None:
            inputs = self._changed(inputs)
        views = list(map(self._normalise, inputs)) if isinstance(inputs, list) else self._normalise(inputs)
        return dict(inputs=views, data_samples=samples)

    def _changed(self, inputs: Tensor | list[Tensor]) -> Tensor | list[Tensor]:
        assert self._views is not None
        crops = inputs if isinstance(inputs, list) else [inputs]
        hub = MessageHub.get_current_instance()
        rng = np.random.Generator(np.random.Philox([hub.get_info('seed', 0), hub.get_info('iter', 0), get_rank()]))
        views = [view(each, rng) for view, each in zip(self._views, crops, strict=True)]
        return views if isinstance(inputs, list) else views[0]

    def _normalise(self, views: Tensor) -> Tensor:
        views = (views.flip(1) if self._channel_conversion else views).float()
        return (views - self.mean) / self.std if self._enable_normalize else views
