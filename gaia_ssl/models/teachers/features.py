"""What a network puts out, of whatever kind it is, as one pooled feature an image and maps with positions."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from gaia_ssl.errors import UserError
from gaia_ssl.models.backbones.bottleneck_resnet import STAGES


@dataclasses.dataclass(frozen=True)
class TeacherFeatures:
    """Of a batch of N images.

    Attributes:
        pooled: ``(N, D)``: the class token, or else the last map's mean over positions.
        maps: Each ``(N, C, H, W)``, from shallow to deep; none if the network keeps no positions.
    """

    pooled: Tensor
    maps: tuple[Tensor, ...] = ()

    def map_of(self, stage: str) -> Tensor:
        """What a student's ``c2`` … ``c5`` is compared with: the map as far from the end, or the shallowest there is.

        Raises:
            UserError: If there is no map.
        """
        if not self.maps:
            raise UserError("the teacher's features hold no positions, which relations are between; use a network that puts "
                            "out a map or patch tokens (a VisionTransformer: out_type='raw'), or leave relations at 0")
        return self.maps[-min(len(STAGES) - STAGES.index(stage), len(self.maps))]


def features_of(output: Any, extra_tokens: int, channels_last: bool = False) -> TeacherFeatures:
    """The features in what a network returned.

    Args:
        output: A tensor, or several, from shallow to deep: maps ``(N, C, H, W)``, tokens ``(N, L, C)`` of a square grid with
            the class token and others before it, or vectors ``(N, D)``. The last one is what is pooled.
        extra_tokens: How many tokens come before the patches; the first is the class token.
        channels_last: Whether maps are ``(N, H, W, C)``.

    Raises:
        UserError: If it is none of these.
    """
    outputs = list(output.values() if isinstance(output, Mapping) else output) if not isinstance(output, Tensor) else [output]
    if not outputs or not all(isinstance(each, Tensor) and 2 <= each.dim() <= 4 for each in outputs):
        shown = ', '.join(str(tuple(each.shape)) if isinstance(each, Tensor) else type(each).__name__ for each in outputs)
        raise UserError(f'the teacher puts out {shown or "nothing"}; it takes maps (N, C, H, W), tokens (N, L, C) or vectors '
                        '(N, D)')
    last = outputs[-1]
    if channels_last:
        outputs = [each.permute(0, 3, 1, 2) if each.dim() == 4 else each for each in outputs]
    maps = tuple(_as_map(each, extra_tokens) for each in outputs if each.dim() > 2)
    if last.dim() == 2:
        pooled = last
    else:
        pooled = last[:, 0] if last.dim() == 3 and extra_tokens else maps[-1].mean(dim=(2, 3))
    return TeacherFeatures(pooled.float(), tuple(each.float() for each in maps))


def _as_map(output: Tensor, extra_tokens: int) -> Tensor:
    if output.dim() == 4:
        return output
    patches = output[:, extra_tokens:]
    side = math.isqrt(patches.size(1))
    if side * side != patches.size(1):
        raise UserError(f'the teacher puts out {output.size(1)} tokens, which are not {extra_tokens} and a square grid of '
                        'patches; use square views and a network that puts out all its tokens')
    return patches.mT.unflatten(2, (side, side))
