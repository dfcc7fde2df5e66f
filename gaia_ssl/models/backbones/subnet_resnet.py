"""The static twin of one subnet: what downstream toolboxes run."""

from __future__ import annotations

from torch import nn

from gaia_ssl.checkpoint import load_checkpoint
from gaia_ssl.errors import UserError
from gaia_ssl.models.backbones.bottleneck_resnet import BottleneckResNet
from gaia_ssl.registry import MODELS
from gaia_ssl.space import Arch


@MODELS.register_module()
class SubnetResNet(BottleneckResNet):
    """A plain ResNet of one arch, with torchvision's key names.

    Args:
        arch: Text form of the arch, e.g. ``32-48x3-96x2-192x17-512x3``.
        norm_cfg: Any of mmcv's norm layers; default ``dict(type='BN')``.
        init_cfg: ``dict(type='Pretrained', checkpoint='backbone.pth')`` loads an exported backbone; a key that does
            not match, or another arch in the file, is an error.
        **kwargs: ``stem_kernel``, ``out_indices``, ``strides``, ``dilations``, ``contract_dilation``, ``frozen_stages``,
            ``norm_eval``, ``with_cp`` and ``zero_init_residual`` as in :class:`DynamicResNet`.

    Example:
        >>> import torch
        >>> net = SubnetResNet('64-64x3-128x4-256x6-512x3', out_indices=(3, ))
        >>> net(torch.rand(1, 3, 64, 64))[0].shape
        torch.Size([1, 2048, 2, 2])
    """

    conv = nn.Conv2d

    def __init__(self, arch: str | Arch, **kwargs) -> None:
        super().__init__(Arch.parse(arch), **kwargs)

    def init_weights(self) -> None:
        """As ``init_cfg`` says; an exported backbone is loaded strictly.

        Raises:
            UserError: If the checkpoint is unreadable, of another arch, or a key is missing, unexpected or misshapen.
        """
        if not self._is_pretrained():
            super().init_weights()
            return
        cfg = self.init_cfg if isinstance(self.init_cfg, dict) else self.init_cfg[-1]
        self.load_backbone(cfg['checkpoint'])
        self._is_init = True

    def load_backbone(self, path: str) -> None:
        """Load an exported backbone strictly; raises as :meth:`init_weights` does."""
        checkpoint = load_checkpoint(path)
        meta = checkpoint.get('meta', {}).get('gaia_ssl')
        if not isinstance(meta, dict) or 'arch' not in meta or 'state_dict' not in checkpoint:
            raise UserError(f'{path}: not an exported backbone; make one with tools/export.py')
        if meta['arch'] != str(self.arch):
            raise UserError(f"{path}: holds the backbone {meta['arch']}, but the config says arch='{self.arch}'")
        try:
            self.load_state_dict(checkpoint['state_dict'], strict=True)
        except RuntimeError as error:
            detail = ' '.join(str(error).split())[:300]
            raise UserError(f"{path}: does not match SubnetResNet(arch='{self.arch}', stem_kernel={self.stem_kernel}): "
                            f'{detail}') from error
