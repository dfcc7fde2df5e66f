"""The last stage of a subnet as the shared head of a C4 detector."""

from __future__ import annotations

from mmcv.cnn import build_norm_layer
from mmengine.model import BaseModule
from torch import Tensor, nn

from gaia_ssl.models.backbones.bottleneck_resnet import keep_norms_in_eval, make_stage, pretrained_checkpoint, pretrained_prefix
from gaia_ssl.models.backbones.exported import load_strictly, read_backbone
from gaia_ssl.models.checkpoint_values import behind
from gaia_ssl.registry import MODELS
from gaia_ssl.space import Arch


@MODELS.register_module()
class SubnetResLayer(BaseModule):
    """Stage 4 of an arch, ``layer4``, and a further batch norm ``norm`` after it, as in MoCo's Faster R-CNN C4.

    What mmdet's ``ResLayer`` is for its ResNets: ``roi_head.shared_head`` beside a ``SubnetResNet(num_stages=3)``. The
    further norm is MoCo's ``Res5ROIHeadsExtraNorm``: https://github.com/facebookresearch/moco/tree/main/detection

    Args:
        arch: Text form of the arch.
        stride, dilation: Of the stage.
        norm_cfg: Any of mmcv's norm layers; default ``dict(type='BN')``.
        norm_eval: Keep batch norm in eval mode while training.
        extra_norm: Whether there is the further norm; it starts as the identity on normalised features.
        init_cfg: ``dict(type='Pretrained', checkpoint='backbone.pth')`` loads the keys ``layer4.*`` of an exported backbone;
            one that does not match, or another arch in the file, is an error.

    Example:
        >>> import torch
        >>> head = SubnetResLayer('64-64x3-128x4-256x6-512x3')
        >>> head(torch.rand(2, 1024, 14, 14)).shape
        torch.Size([2, 2048, 7, 7])
    """

    def __init__(self,
                 arch: str | Arch,
                 stride: int = 2,
                 dilation: int = 1,
                 norm_cfg: dict | None = None,
                 norm_eval: bool = False,
                 extra_norm: bool = True,
                 init_cfg: dict | list[dict] | None = None) -> None:
        super().__init__(init_cfg or dict(type='Kaiming', layer='Conv2d'))
        self.arch = Arch.parse(arch)
        self.norm_eval = norm_eval
        norm_cfg = norm_cfg or dict(type='BN')

        def norm(channels: int) -> nn.Module:
            return build_norm_layer(norm_cfg, channels)[1]

        *_, in_channels, out_channels = self.arch.out_channels
        self.layer4 = make_stage(nn.Conv2d, norm, in_channels, self.arch.widths[3], self.arch.depths[3], stride, dilation)
        self.norm = norm(out_channels) if extra_norm else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """``(N, 4 * w3, H, W)`` to ``(N, 4 * w4, H / stride, W / stride)``."""
        return self.norm(self.layer4(x))

    def init_weights(self) -> None:
        """As ``init_cfg`` says; the stage of an exported backbone is loaded strictly.

        Raises:
            UserError: If the checkpoint is unreadable, of another arch, or a key is missing, unexpected or misshapen.
        """
        path = pretrained_checkpoint(self.init_cfg)
        if path is None:
            super().init_weights()
            return
        state = behind('layer4.', read_backbone(path, self.arch, pretrained_prefix(self.init_cfg)))
        load_strictly(self.layer4, state, path, f"stage 4 of the arch '{self.arch}'")
        self._is_init = True

    def train(self, mode: bool = True) -> SubnetResLayer:
        """With ``norm_eval``, batch norm stays in eval mode."""
        super().train(mode)
        if mode and self.norm_eval:
            keep_norms_in_eval(self)
        return self
