"""The supernet's backbone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from mmengine.logging import print_log
from mmengine.model import initialize

from gaia_ssl.models.backbones.bottleneck_resnet import BottleneckResNet, pretrained_checkpoint
from gaia_ssl.models.backbones.drop_path import DropPath
from gaia_ssl.models.dynamic import DynamicBatchNorm2d, DynamicConv2d, DynamicSyncBatchNorm
from gaia_ssl.models.pretrained_checkpoint import read_pretrained
from gaia_ssl.models.pretrained_start import check_start, start_from
from gaia_ssl.registry import MODELS
from gaia_ssl.space import Arch, ArchSpace
from gaia_ssl.space.arch_space import AUTO
from gaia_ssl.space.cost import EXPANSION

_NORMS = {'BN': DynamicBatchNorm2d, 'SyncBN': DynamicSyncBatchNorm}


@MODELS.register_module()
class DynamicResNet(BottleneckResNet):
    """A ResNet at ``space.max``, of which a subnet uses the first channels of each layer and the first blocks of each stage.

    Any arch that is not larger than ``space.max`` in any dimension can be set, on the space's grid or not.

    Args:
        space: The search space; or the arguments of one (``stem``, ``widths``, ``depths``); or the text of an arch, for
            :meth:`ArchSpace.inside` it; or ``'auto'``, for that inside the pretrained network of ``init_cfg``.
        stem_kernel: 7 (stride 2, max-pool) for images of about 224 px; 3 (stride 1, no pool) for about 32 px.
        out_indices: Which of C2 (0) to C5 (3) to return.
        strides, dilations, contract_dilation: As in mmseg's ResNet.
        frozen_stages: -1 trains all, 0 freezes the stem, n > 0 also the first n stages.
        norm_cfg: ``type='BN'`` or ``'SyncBN'``, with batch norm's further arguments.
        norm_eval: Keep batch norm in eval mode while training.
        with_cp: Recompute each block in the backward pass to save memory.
        zero_init_residual: Start with zero as the weight of each block's last batch norm.
        init_cfg: ``dict(type='Pretrained', checkpoint=…)`` starts from any ResNet that :func:`read_pretrained` reads and that
            is not larger than ``space.max``: its function is kept.
        sort_pretrained: Whether that network's channels are sorted by importance first.

    Example:
        >>> import torch
        >>> from gaia_ssl import DATA_SPACE, Arch
        >>> net = DynamicResNet(DATA_SPACE)
        >>> net.set_arch(Arch.parse('32-48x2-96x2-192x5-384x2'))
        >>> [tuple(c.shape) for c in net(torch.rand(1, 3, 64, 64))]
        [(1, 192, 16, 16), (1, 384, 8, 8), (1, 768, 4, 4), (1, 1536, 2, 2)]
    """

    conv = DynamicConv2d

    def __init__(self, space: ArchSpace | dict | str, norm_cfg: dict | None = None, sort_pretrained: bool = True,
                 **kwargs: Any) -> None:
        if space == AUTO and (checkpoint := pretrained_checkpoint(kwargs.get('init_cfg'))):
            space = ArchSpace.inside(read_pretrained(checkpoint).arch)
        space = ArchSpace.read(space)
        norm_cfg = dict(norm_cfg or dict(type='BN'))
        if norm_cfg['type'] not in _NORMS:
            raise ValueError(f"norm_cfg type is {norm_cfg['type']}; DynamicResNet has {' and '.join(_NORMS)}")
        norm_cfg['type'] = _NORMS[norm_cfg['type']]
        super().__init__(space.max, norm_cfg=norm_cfg, **kwargs)
        self.space = space
        self.sort_pretrained = sort_pretrained

    def init_weights(self) -> None:
        """As ``init_cfg`` says; a pretrained network becomes a part of it.

        Raises:
            UserError: If its checkpoint cannot be read, holds no such ResNet, or one that is larger.
        """
        path = pretrained_checkpoint(self.init_cfg)
        if path is None:
            super().init_weights()
            return
        pretrained = read_pretrained(path)
        check_start(pretrained, self.space.max, self.stem_kernel)
        initialize(self, dict(type='Kaiming', layer='Conv2d'))
        start_from(self, pretrained, self.sort_pretrained)
        print_log(f'Started from {pretrained}', logger='current')
        self._is_init = True

    def set_arch(self, arch: Arch) -> None:
        """Make ``arch`` the one that :meth:`forward` runs.

        Raises:
            UserError: If the supernet has no weights for it.
        """
        self.space.check_fits(arch)
        self.arch = arch
        self.set_stem(arch.stem)
        for stage, width in enumerate(arch.widths):
            self.set_width(stage, width)

    @contextmanager
    def dropped_paths(self, rate: float, generator: torch.Generator) -> Iterator[None]:
        """Inside the block, residual branches of the arch that is set are dropped: none of the first block's, ``rate`` of the
        last one's, linear in between."""
        blocks = [block for layer, depth in zip(self.layers, self.arch.depths, strict=True) for block in layer[:depth]]
        for index, block in enumerate(blocks[1:], start=1):
            block.drop_path = DropPath(rate * index / (len(blocks) - 1), generator)
        try:
            yield
        finally:
            for block in blocks:
                block.drop_path = None

    def set_stem(self, stem: int) -> None:
        """Make the stem put out ``stem`` channels."""
        self.conv1.active_channels = stem

    def set_width(self, stage: int, width: int) -> None:
        """Make every block of ``stage`` (0 to 3) ``width`` wide."""
        layer = self.layers[stage]
        for block in layer:
            block.conv1.active_channels = block.conv2.active_channels = width
            block.conv3.active_channels = EXPANSION * width
        layer[0].downsample[0].active_channels = EXPANSION * width
