"""Any registered backbone with the weights of its checkpoint, read without running code."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor, nn

from gaia_ssl.errors import UserError
from gaia_ssl.models.checkpoint_values import behind
from gaia_ssl.models.pretrained_checkpoint import read_foreign_checkpoint
from gaia_ssl.registry import MODELS

_VIT_NAMES = [(re.compile(rf'(?:(?<=\.)|^){pattern}'), name) for pattern, name in (
    (r'patch_embed\.proj\.', 'patch_embed.projection.'),
    (r'blocks\.(\d+)\.norm([12])\.', r'layers.\1.ln\2.'),
    (r'blocks\.(\d+)\.mlp\.fc1\.', r'layers.\1.ffn.layers.0.0.'),
    (r'blocks\.(\d+)\.mlp\.fc2\.', r'layers.\1.ffn.layers.1.'),
    (r'blocks\.(\d+)\.ls1\.gamma$', r'layers.\1.attn.gamma1.weight'),
    (r'blocks\.(\d+)\.ls2\.gamma$', r'layers.\1.ffn.gamma2.weight'),
    (r'blocks\.', 'layers.'),
    (r'norm\.(?=weight$|bias$)', 'ln1.'),
)]
"""The names of DINOv2's, timm's and MAE's vision transformers -> those of mmpretrain's."""
_HEADS = re.compile(r'(fc|fc_norm|heads?|head_dist|classifier|projector|mask_token)(\.|$)')
"""What stands beside a backbone in a file and is left there."""


def build_foreign_backbone(config: Mapping[str, Any]) -> nn.Module:
    """A backbone of mmpretrain's registry, or another's, in eval mode.

    Args:
        config: Its ``type`` and arguments, and the file as ``checkpoint`` or in an ``init_cfg`` of type ``Pretrained``. A
            vision transformer puts out all its tokens unless ``out_type`` says otherwise.

    Raises:
        UserError: If there is no checkpoint, it cannot be read, or its weights are not this backbone's.
    """
    config = dict(config)
    checkpoint = config.pop('checkpoint', None) or _of_init_cfg(config.pop('init_cfg', None))
    weights_inside = config.get('pretrained') is True or config.get('checkpoint_path')  # timm loads them itself
    if not (checkpoint or weights_inside):
        raise UserError(f"the teacher {config['type']} has no checkpoint, so its weights would be random; set "
                        'teacher.checkpoint')
    try:
        if 'raw' in getattr(MODELS.get(config['type']), 'OUT_TYPES', ()):
            config.setdefault('out_type', 'raw')
        network = MODELS.build(config)
    except UserError:
        raise
    except Exception as error:  # a foreign constructor fails in as many ways
        raise UserError(f"the teacher {config['type']} cannot be built ({' '.join(str(error).split())[:300]})") from error
    if checkpoint:
        load_weights(getattr(network, 'timm_model', network), checkpoint)
    network.eval()  # which of some backbones returns nothing
    return network


def load_weights(network: nn.Module, path: str) -> None:
    """Load the weights of ``network`` out of a checkpoint, behind whatever prefix they are there.

    Heads are left. Of a file with a student and a teacher (DINO), the teacher is taken.

    Raises:
        UserError: If the file cannot be read, or a weight is missing, left over or of another shape.
    """
    found, own = dict(_tensors(read_foreign_checkpoint(path))), set(network.state_dict())
    candidates = [(prefix, behind(prefix, names)) for names in (found, _renamed(found)) for prefix in _prefixes(names, own)]
    _, state = max(candidates, key=lambda pair: (len(own & pair[1].keys()), 'teacher' in pair[0]), default=('', {}))
    missing = sorted(name for name in own - state.keys() if not name.endswith('num_batches_tracked'))
    left = sorted(name for name in state.keys() - own if not _HEADS.match(name))
    for kind, names in (('lacks', missing), ('holds besides', left)):
        if names:
            raise UserError(f'{path}: not the weights of this {type(network).__name__}: it {kind} {len(names)} of its parts '
                            f'({", ".join(names[:4])}{", …" if len(names) > 4 else ""})')
    try:
        network.load_state_dict({name: state[name] for name in own & state.keys()}, strict=False)
    except RuntimeError as error:
        raise UserError(f'{path}: not the weights of this {type(network).__name__}: '
                        f"{' '.join(str(error).split())[:300]}") from error


def _of_init_cfg(init_cfg: Mapping[str, Any] | None) -> str | None:
    return init_cfg.get('checkpoint') if isinstance(init_cfg, Mapping) and init_cfg.get('type') == 'Pretrained' else None


def _tensors(part: Mapping[str, Any], prefix: str = '') -> Iterator[tuple[str, Tensor]]:
    for name, value in part.items():
        if isinstance(value, Tensor):
            yield f'{prefix}{name}', value
        elif isinstance(value, Mapping):
            yield from _tensors(value, f'{prefix}{name}.')


def _renamed(found: dict[str, Tensor]) -> dict[str, Tensor]:
    """With the names of mmpretrain's vision transformer wherever another's stand."""
    renamed = {}
    for name, value in found.items():
        for pattern, replacement in _VIT_NAMES:
            name = pattern.sub(replacement, name)
        renamed[name] = value
    return renamed


def _prefixes(found: Mapping[str, Tensor], own: set[str]) -> list[str]:
    """What may stand before the network's names, each once."""
    longest = max(own, key=len)
    return list(dict.fromkeys(name[:-len(longest)] for name in found
                              if name.endswith(longest) and name[:-len(longest)][-1:] in ('', '.')))
