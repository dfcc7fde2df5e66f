"""RoI max pooling as mmcv defines it. torchvision's rounds the boxes first and so pools other bins; this is plain torch."""

import torch
from torch import Tensor


def roi_pool_forward(input: Tensor, rois: Tensor, output: Tensor, argmax: Tensor, *, pooled_height: int, pooled_width: int,
                     spatial_scale: float) -> None:
    """Write the maxima and their places, (K, C, pooled_height, pooled_width), into ``output`` and ``argmax``.

    A place is an index into the H x W positions of an image, -1 for a bin without any.

    Args:
        input: (N, C, H, W).
        rois: (K, 5), image and x1, y1, x2, y2, where x2 and y2 belong to the box.
    """
    height, width = input.shape[2:]
    argmax.fill_(-1)
    for k, (image, left, top, right, bottom) in enumerate(rois.tolist()):
        box = torch.tensor([top, left, bottom + 1, right + 1], dtype=rois.dtype) * spatial_scale
        if (box[2:] <= box[:2]).any():
            continue
        rows, columns = _bins(box[0], box[2], pooled_height, height), _bins(box[1], box[3], pooled_width, width)
        for h, (upper, lower) in enumerate(rows):
            for w, (first, last) in enumerate(columns):
                if lower <= upper or last <= first:
                    continue
                values, places = input[int(image), :, upper:lower, first:last].flatten(1).max(dim=1)
                output[k, :, h, w] = values
                argmax[k, :, h, w] = (upper + places // (last - first)) * width + first + places % (last - first)


def roi_pool_backward(grad_output: Tensor, rois: Tensor, argmax: Tensor, grad_input: Tensor, *, pooled_height: int,
                      pooled_width: int, spatial_scale: float) -> None:
    """Add each bin's gradient at the place of its maximum to ``grad_input``, (N, C, H, W)."""
    images, channels = rois[:, 0].long()[:, None], torch.arange(grad_input.size(1), device=rois.device)
    planes = (images * grad_input.size(1) + channels)[:, :, None, None].expand_as(argmax)
    filled = argmax >= 0
    places = planes[filled], argmax[filled].long()
    grad_input.flatten(0, 1).flatten(1).index_put_(places, grad_output[filled], accumulate=True)


def _bins(start: Tensor, end: Tensor, bins: int, size: int) -> list[tuple[int, int]]:
    """First and behind-the-last position of each bin of a side, within the map's ``size``."""
    edges = torch.arange(bins + 1, dtype=start.dtype) * ((end - start) / bins) + start
    return list(zip(edges[:-1].floor().clamp(0, size).int().tolist(), edges[1:].ceil().clamp(0, size).int().tolist(),
                    strict=True))
