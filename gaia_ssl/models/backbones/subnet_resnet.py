"""The static twin of one subnet: what downstream toolboxes run."""

from __future__ import annotations

from typing import Any

from torch import nn

from gaia_ssl.models.backbones.bottleneck_resnet import BottleneckResNet, pretrained_checkpoint, pretrained_prefix
from gaia_ssl.models.backbones.exported import load_strictly, read_backbone
from gaia_ssl.registry import MODELS
from gaia_ssl.space import Arch


@MODELS.register_module()
class SubnetResNet(BottleneckResNet):
    """A plain ResNet of one arch, with torchvision's key names.

    Args:
        arch: Text form of the arch, e.g. ``32-48x3-96x2-192x17-512x3``.
        num_stages: Build only so many stages; a C4 detector takes three, and the fourth as :class:`SubnetResLayer`.
        norm_cfg: Any of mmcv's norm layers; default ``dict(type='BN')``.
        init_cfg: ``dict(type='Pretrained', checkpoint='backbone.pth')`` loads an exported backbone; a key that does
            not match, or another arch in the file, is an error. With ``prefix='backbone.'`` the weights are taken from a
            checkpoint of a model that was trained with this backbone.
        **kwargs: ``stem_kernel``, ``out_indices``, ``strides``, ``dilations``, ``contract_dilation``, ``frozen_stages``,
            ``norm_eval``, ``with_cp`` and ``zero_init_residual`` as in :class:`DynamicResNet`.

    Example:
        >>> import torch
        >>> net = SubnetResNet('64-64x3-128x4-256x6-512x3', out_indices=(3, ))
        >>> net(torch.rand(1, 3, 64, 64))[0].shape
        torch.Size([1, 2048, 2, 2])
    """

    conv = nn.Conv2d

    def __init__(self, arch: str | Arch, **kwargs: Any) -> None:
        super().__init__(Arch.parse(arch), **kwargs)

    def init_weights(self) -> None:
        """As ``init_cfg`` says; an exported backbone is loaded strictly.

        Raises:
            UserError: If the checkpoint is unreadable, of another arch, or a key is missing, unexpected or misshapen.
        """
        path = pretrained_checkpoint(self.init_cfg)
        if path is None:
            super().init_weights()
            return
        self.load_backbone(path, pretrained_prefix(self.init_cfg))
        self._is_init = True

    def load_backbone(self, path: str, prefix: str | None = None) -> None:
        """Load an exported backbone strictly, all its stages or the first ``num_stages``; raises as :meth:`init_weights`.

        Args:
            path, prefix: As in :func:`~gaia_ssl.models.backbones.exported.read_backbone`.
        """
        left_out = tuple(f'layer{stage + 1}.' for stage in range(self.num_stages, 4))
        state = {name: value for name, value in read_backbone(path, self.arch, prefix).items() if not name.startswith(left_out)}
        load_strictly(self, state, path, f"SubnetResNet(arch='{self.arch}', stem_kernel={self.stem_kernel})")
