"""A transform of mmseg's pipelines: another number for a label."""

from __future__ import annotations

from mmcv.transforms import BaseTransform

from gaia_ssl.registry import TRANSFORMS


@TRANSFORMS.register_module()
class MapLabel(BaseTransform):
    """After ``LoadAnnotations``: where ``gt_seg_map``, ``(H, W)``, is ``old``, it becomes ``new``.

    Args:
        old: E.g. 255, of a binary mask.
        new: E.g. 1, the class.
    """

    def __init__(self, old: int, new: int) -> None:
        self.old, self.new = old, new

    def transform(self, results: dict) -> dict:
        """Change ``gt_seg_map``."""
        labels = results['gt_seg_map']
        labels[labels == self.old] = self.new
        return results
