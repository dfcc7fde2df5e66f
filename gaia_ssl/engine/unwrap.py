"""A model without what distributes it."""

from __future__ import annotations

from typing import Any

from mmengine.model import is_model_wrapper
from torch import nn


def unwrapped(model: nn.Module) -> Any:
    """``model`` as it was built, e.g. a Runner's."""
    return model.module if is_model_wrapper(model) else model
