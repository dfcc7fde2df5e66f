"""Non-maximum suppression, hard and soft."""

import torch
import torchvision
from torch import Tensor

from mmcv_torchvision_ops.precision import wide


def nms(boxes: Tensor, scores: Tensor, iou_threshold: float, offset: int) -> Tensor:
    """Indices of the boxes that are kept, by falling score.

    Args:
        boxes: (N, 4), as x1, y1, x2, y2.
        scores: (N,).
        iou_threshold: A box goes if a better one overlaps it by more.
        offset: 1 if x2 and y2 belong to the box, as mmcv counts: a width is x2 - x1 + offset.
    """
    boxes, scores = wide(boxes), wide(scores)
    if offset:
        boxes = torch.cat([boxes[:, :2], boxes[:, 2:] + offset], dim=1)
    return torchvision.ops.nms(boxes, scores.to(boxes.dtype), iou_threshold)


def softnms(boxes: Tensor, scores: Tensor, dets: Tensor, iou_threshold: float, sigma: float, min_score: float, method: int,
            offset: int) -> Tensor:
    """Soft-NMS (Bodla et al., 2017): overlaps lower a score, and boxes below ``min_score`` go.

    The best of the remaining boxes is taken in each turn, the first of equals.

    Args:
        boxes: (N, 4).
        scores: (N,).
        dets: (N, 5), written: box and lowered score of each that is kept, in turn.
        iou_threshold: Overlap from which ``method`` 0 and 1 act.
        sigma: Width of the Gaussian, ``method`` 2.
        min_score: Boxes whose lowered score is below go.
        method: 0 hard, 1 linear, 2 Gaussian.
        offset: As of :func:`nms`.

    Returns:
        Indices of the boxes that are kept, in turn.
    """
    boxes, scores = wide(boxes), wide(scores).clone()
    areas = (boxes[:, 2] - boxes[:, 0] + offset) * (boxes[:, 3] - boxes[:, 1] + offset)
    remaining = torch.arange(len(boxes), device=boxes.device)
    kept: list[Tensor] = []
    while len(remaining):
        turn = scores[remaining].argmax()
        best = remaining[turn]
        dets[len(kept)] = torch.cat([boxes[best], scores[best, None]])
        kept.append(best)
        remaining = torch.cat([remaining[:turn], remaining[turn + 1:]])
        others = boxes[remaining]
        sides = torch.minimum(boxes[best, 2:], others[:, 2:]) - torch.maximum(boxes[best, :2], others[:, :2]) + offset
        shared = sides.clamp_(min=0).prod(dim=1)
        overlap = shared / (areas[best] + areas[remaining] - shared)
        if method == 2:
            weight = torch.exp(-overlap.square() / sigma)
        else:
            weight = torch.where(overlap >= iou_threshold, 1 - overlap if method == 1 else 0., 1.)
        scores[remaining] *= weight
        remaining = remaining[scores[remaining] >= min_score]
    return torch.stack(kept) if kept else remaining
