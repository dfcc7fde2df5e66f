"""The ResNet of bottlenecks that DynamicResNet and SubnetResNet share, with torchvision's key names."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice

from mmcv.cnn import build_norm_layer
from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint

from gaia_ssl.errors import UserError
from gaia_ssl.space import Arch
from gaia_ssl.space.cost import EXPANSION, STEM_KERNELS

STAGES = ('c2', 'c3', 'c4', 'c5')
"""What the feature maps of the stages are called."""


class Bottleneck(nn.Module):
    """1x1, 3x3 (with the stride), 1x1, and a shortcut; the first block of a stage projects the shortcut.

    Input ``(N, in_channels, H, W)``, output ``(N, 4 * width, H / stride, W / stride)``.

    Attributes:
        drop_path: None, or what drops the residual branch of some images.
    """

    drop_path: Callable[[Tensor], Tensor] | None = None

    def __init__(self, conv: type[nn.Conv2d], norm: Callable[[int], nn.Module], in_channels: int, width: int, stride: int,
                 dilation: int, project: bool) -> None:
        super().__init__()
        out_channels = EXPANSION * width
        self.conv1 = conv(in_channels, width, 1, bias=False)
        self.bn1 = norm(width)
        self.conv2 = conv(width, width, 3, stride=stride, padding=dilation, dilation=dilation, bias=False)
        self.bn2 = norm(width)
        self.conv3 = conv(width, out_channels, 1, bias=False)
        self.bn3 = norm(out_channels)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = nn.Sequential(conv(in_channels, out_channels, 1, stride=stride, bias=False),
                                        norm(out_channels)) if project else None

    def forward(self, x: Tensor) -> Tensor:
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        if self.drop_path is not None:
            out = self.drop_path(out)
        shortcut = x if self.downsample is None else self.downsample(x)
        return self.relu(out.add_(shortcut))


def make_stage(conv: type[nn.Conv2d], norm: Callable[[int], nn.Module], in_channels: int, width: int, depth: int, stride: int,
               dilation: int, contract_dilation: bool = False) -> nn.Sequential:
    """``depth`` bottlenecks, of which the first has the stride and, with ``contract_dilation``, half of the dilation."""
    blocks = []
    for index in range(depth):
        first = index == 0
        contracted = dilation // 2 if first and contract_dilation and dilation > 1 else dilation
        blocks.append(Bottleneck(conv, norm, in_channels, width, stride if first else 1, contracted, project=first))
        in_channels = EXPANSION * width
    return nn.Sequential(*blocks)


def keep_norms_in_eval(module: nn.Module) -> None:
    """Every batch norm of ``module`` uses its running statistics."""
    for child in module.modules():
        if isinstance(child, _BatchNorm):
            child.eval()


def pretrained_checkpoint(init_cfg: dict | list[dict] | None) -> str | None:
    """The file that an ``init_cfg`` of type ``Pretrained`` names; None for any other."""
    return _pretrained(init_cfg).get('checkpoint')


def pretrained_prefix(init_cfg: dict | list[dict] | None) -> str | None:
    """Before which keys of that file the weights stand, by mmengine's ``prefix``; None if it says nothing."""
    return _pretrained(init_cfg).get('prefix')


def _pretrained(init_cfg: dict | list[dict] | None) -> dict:
    cfgs = [init_cfg] if isinstance(init_cfg, dict) else init_cfg or []
    return next((cfg for cfg in cfgs if cfg.get('type') == 'Pretrained'), {})


class BottleneckResNet(BaseModule):
    """The common part; see :class:`DynamicResNet` and :class:`SubnetResNet` for the arguments."""

    conv: type[nn.Conv2d]

    def __init__(self,
                 arch: Arch,
                 in_channels: int = 3,
                 stem_kernel: int = 7,
                 num_stages: int = 4,
                 strides: Sequence[int] = (1, 2, 2, 2),
                 dilations: Sequence[int] = (1, 1, 1, 1),
                 contract_dilation: bool = False,
                 out_indices: Sequence[int] | None = None,
                 frozen_stages: int = -1,
                 norm_cfg: dict | None = None,
                 norm_eval: bool = False,
                 with_cp: bool = False,
                 zero_init_residual: bool = True,
                 init_cfg: dict | list[dict] | None = None) -> None:
        super().__init__(init_cfg or dict(type='Kaiming', layer='Conv2d'))
        if stem_kernel not in STEM_KERNELS:
            raise UserError(f'stem_kernel is {stem_kernel}; use 7 (images of about 224 px) or 3 (about 32 px)')
        if not 1 <= num_stages <= 4:
            raise UserError(f'num_stages is {num_stages}; use 1 to 4')
        if not {len(strides), len(dilations)} <= {num_stages, 4}:
            raise UserError(f'strides {tuple(strides)} and dilations {tuple(dilations)} must have {num_stages} entries, one a '
                            'stage')
        out_indices = range(num_stages) if out_indices is None else out_indices
        if not out_indices or not set(out_indices) <= set(range(num_stages)):
            choices = ', '.join(f'{stage} (C{stage + 2})' for stage in range(num_stages))
            raise UserError(f'out_indices is {tuple(out_indices)}; choose from {choices}')
        if not -1 <= frozen_stages <= num_stages:
            raise UserError(f'frozen_stages is {frozen_stages}; use -1 (none), 0 (the stem) to {num_stages} (all)')
        self.arch = arch
        self.stem_kernel = stem_kernel
        self.in_channels = in_channels
        self.out_indices = tuple(out_indices)
        self.frozen_stages = frozen_stages
        self.norm_cfg = norm_cfg or dict(type='BN')
        self.norm_eval = norm_eval
        self.with_cp = with_cp
        self.zero_init_residual = zero_init_residual

        stem_stride, pool_stride = STEM_KERNELS[stem_kernel]
        self.conv1 = self.conv(in_channels, arch.stem, stem_kernel, stem_stride, padding=stem_kernel // 2, bias=False)
        self.bn1 = self._norm(arch.stem)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, pool_stride, padding=1) if pool_stride > 1 else nn.Identity()
        self.num_stages = num_stages
        channels = arch.stem
        for stage in range(num_stages):
            width = arch.widths[stage]
            self.add_module(f'layer{stage + 1}', make_stage(self.conv, self._norm, channels, width, arch.depths[stage],
                                                            strides[stage], dilations[stage], contract_dilation))
            channels = EXPANSION * width
        self._freeze()

    @property
    def layers(self) -> list[nn.Sequential]:
        """The stages."""
        return [getattr(self, f'layer{stage + 1}') for stage in range(self.num_stages)]

    def stem(self, x: Tensor) -> Tensor:
        """C1: ``(N, 3, H, W)`` to ``(N, stem, H / 4, W / 4)``, or ``(N, stem, H, W)`` for ``stem_kernel=3``."""
        return self.maxpool(self.relu(self.bn1(self.conv1(x))))

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """``(N, 3, H, W)`` to the feature maps of ``out_indices``, each ``(N, 4 * width, H_s, W_s)``."""
        x = self.stem(x)
        outs = []
        for stage, (layer, depth) in enumerate(zip(self.layers, self.arch.depths, strict=False)):
            for block in islice(layer, depth):
                if self.with_cp and self.training and x.requires_grad:
                    x = checkpoint(block, x, use_reentrant=False)
                else:
                    x = block(x)
            if stage in self.out_indices:
                outs.append(x)
            if stage == max(self.out_indices):
                break
        return tuple(outs)

    def init_weights(self) -> None:
        """As ``init_cfg`` says (default Kaiming); then, by ``zero_init_residual``, each block starts as its shortcut."""
        super().init_weights()
        if self.zero_init_residual and pretrained_checkpoint(self.init_cfg) is None:
            for layer in self.layers:
                for block in layer:
                    nn.init.zeros_(block.bn3.weight)

    def train(self, mode: bool = True) -> BottleneckResNet:
        """Frozen stages stay in eval mode, and so does every batch norm with ``norm_eval``."""
        super().train(mode)
        for module in self._frozen():
            module.eval()
        if mode and self.norm_eval:
            keep_norms_in_eval(self)
        return self

    def _norm(self, channels: int) -> nn.Module:
        return build_norm_layer(self.norm_cfg, channels)[1]

    def _frozen(self) -> list[nn.Module]:
        return [self.conv1, self.bn1, *self.layers[:self.frozen_stages]] if self.frozen_stages >= 0 else []

    def _freeze(self) -> None:
        for module in self._frozen():
            module.eval().requires_grad_(False)
