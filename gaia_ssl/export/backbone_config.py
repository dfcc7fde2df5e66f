"""The exported backbone as a config of any OpenMMLab toolbox names it."""

from __future__ import annotations

import os


def backbone_config(checkpoint: str | os.PathLike, meta: dict, **settings) -> dict:
    """``model.backbone`` for an exported checkpoint; any key of it that does not match is an error when it loads.

    Args:
        checkpoint: The exported ``backbone.pth``.
        meta: What that file says of itself.
        settings: Further arguments of :class:`gaia_ssl.models.SubnetResNet`, e.g. ``out_indices``, ``norm_cfg``.
    """
    return dict(
        type='gaia_ssl.SubnetResNet',
        arch=meta['arch'],
        stem_kernel=meta['stem_kernel'],
        init_cfg=dict(type='Pretrained', checkpoint=os.path.abspath(checkpoint)),
        **settings)
