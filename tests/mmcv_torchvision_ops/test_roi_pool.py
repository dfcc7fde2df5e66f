import math

import mmcv.ops
import numpy as np
import pytest
import torch

from mmcv_torchvision_ops import extension
from tests.mmcv_torchvision_ops.cases import use


@pytest.fixture(autouse=True)
def ours(monkeypatch):
    use(extension, monkeypatch)


def pooled_by_hand(maps: np.ndarray, rois: np.ndarray, bins: tuple[int, int], scale: float) -> tuple[np.ndarray, np.ndarray]:
    """Loops over all bins and positions, as mmcv's CUDA kernel defines them: the maxima, and where each comes from."""
    output, places = np.zeros((len(rois), maps.shape[1], *bins)), {}
    for k, (image, x1, y1, x2, y2) in enumerate(rois):
        left, top = x1 * scale, y1 * scale
        width, height = (x2 + 1) * scale - left, (y2 + 1) * scale - top
        if width <= 0 or height <= 0:
            continue
        for channel, h, w in np.ndindex(maps.shape[1], *bins):
            rows = range(math.floor(h * height / bins[0] + top), math.ceil((h + 1) * height / bins[0] + top))
            columns = range(math.floor(w * width / bins[1] + left), math.ceil((w + 1) * width / bins[1] + left))
            inside = [(int(image), channel, r, c) for r in rows for c in columns
                      if 0 <= r < maps.shape[2] and 0 <= c < maps.shape[3]]
            if inside:
                best = max(inside, key=lambda place: maps[place])
                output[k, channel, h, w], places[k, channel, h, w] = maps[best], best
    return output, places


# Sides and scale are sums of few powers of two: no rounding decides where a bin ends.
ROIS = np.array([[0, 0, 0, 15, 15], [1, 8, 4, 27, 31], [0, -12, -12, 3, 3], [1, 40, 40, 60, 60], [0, 5, 5, 4, 9],
                 [1, 20, 9, 20, 9]], dtype=np.float32)


@pytest.mark.parametrize('count', [len(ROIS), 1, 0])
@pytest.mark.parametrize('bins', [(2, 2), (4, 1)])
def test_equals_loops_over_the_definition(count, bins):
    generator = torch.Generator().manual_seed(0)
    maps = torch.randn(2, 3, 8, 10, generator=generator).requires_grad_()
    rois = ROIS[:count]
    pooled = mmcv.ops.roi_pool(maps, torch.from_numpy(rois), bins, 0.25)
    expected, places = pooled_by_hand(maps.detach().numpy(), rois, bins, 0.25)
    np.testing.assert_allclose(pooled.detach().numpy(), expected, rtol=1e-6)
    grad = torch.randn(pooled.shape, generator=generator)
    pooled.backward(grad)
    by_hand = np.zeros(maps.shape)
    for index, place in places.items():
        by_hand[place] += grad[index]
    np.testing.assert_allclose(maps.grad, by_hand, rtol=1e-5, atol=1e-6)
