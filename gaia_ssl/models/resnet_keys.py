"""Finding one ResNet of bottlenecks among the names of a checkpoint, whoever wrote it."""

from __future__ import annotations

import dataclasses
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor

from gaia_ssl.errors import UserError
from gaia_ssl.models.checkpoint_values import check_weights
from gaia_ssl.space import Arch
from gaia_ssl.space.cost import EXPANSION, STEM_KERNELS

_NORM = ('weight', 'bias', 'running_mean', 'running_var')
_COUNT = 'num_batches_tracked'
_OF_NORM = '|'.join((*_NORM, _COUNT))
_NAME = re.compile(rf'conv1\.weight|bn1\.({_OF_NORM})|'
                   rf'layer[1-4]\.\d+\.(conv[123]\.weight|downsample\.0\.weight|(bn[123]|downsample\.1)\.({_OF_NORM}))')
"""torchvision's names of a backbone's tensors."""


@dataclasses.dataclass(frozen=True)
class Naming:
    """How a library names a ResNet's parts.

    Attributes:
        anchor: The name that every such ResNet has, at the end of a full name.
        parts: What the names of the backbone begin with; a name of these that stays unknown is an error.
        rules: Regular expressions and what replaces them, to get torchvision's names.
    """

    anchor: re.Pattern
    parts: re.Pattern
    rules: tuple[tuple[str, str], ...] = ()

    def translate(self, name: str) -> str:
        """torchvision's name."""
        for pattern, replacement in self.rules:
            name = re.sub(pattern, replacement, name)
        return name


_NAMINGS = (
    # torchvision and all that build on it: timm, mmpretrain, MoCo, DINO, …
    Naming(re.compile(r'(?:^|(?<=\.))layer1\.0\.conv1\.weight$'), re.compile(r'conv|bn|norm|stem|layer\d')),
    # nn.Sequential(*resnet.children()), as in lightly's examples.
    Naming(re.compile(r'(?:^|(?<=\.))4\.0\.conv1\.weight$'), re.compile(r'[0-7]\.'),
           ((r'^0\.', 'conv1.'), (r'^1\.', 'bn1.'), *((rf'^{stage + 3}\.', f'layer{stage}.') for stage in (1, 2, 3, 4)))),
    # detectron2
    Naming(re.compile(r'(?:^|(?<=\.))res2\.0\.conv1\.weight$'), re.compile(r'stem|res\d'),
           ((r'^stem\.conv1\.norm\.', 'bn1.'), (r'^stem\.conv1\.', 'conv1.'),
            *((rf'^res{stage + 1}\.', f'layer{stage}.') for stage in (1, 2, 3, 4)),
            (r'\.conv(\d)\.norm\.', r'.bn\1.'),
            (r'\.shortcut\.norm\.', '.downsample.1.'), (r'\.shortcut\.', '.downsample.0.'))),
)

_AVERAGED = re.compile(r'(^|[._])(ema|momentum|target|teacher|encoder_k|key)([._]|$)')
_TRANSFORMER = re.compile(r'(^|\.)(patch_embed|cls_token|class_token|pos_embed|attn|attention|self_attention)(\.|$)')
_DEEP_STEM = re.compile(r'(stem|conv1)\.\d|stem\.conv[2-9]|(conv|bn)[2-9]\.')


@dataclasses.dataclass(frozen=True)
class Encoder:
    """One network inside a checkpoint.

    Attributes:
        where: Wrapping keys and prefix, as text; empty if there are none.
        prefix: What the names of its tensors begin with in the file.
        tensors: By torchvision's names; those that are none of a backbone's are left out.
        unknown: Names, after the prefix, that belong to the backbone but are none of a plain ResNet's.
        left: How many other tensors there are, by the beginning of their names.
    """

    where: str
    prefix: str
    tensors: dict[str, Tensor]
    unknown: list[str]
    left: dict[str, int]


def find_encoder(checkpoint: dict[str, Any], path: str) -> Encoder:
    """The network that ``checkpoint`` is about.

    Of several, an average over time (``encoder_k``, ``momentum_encoder``, ``target``, …) gives way to what is averaged, except
    that of student and teacher (DINO) the teacher is taken.

    Raises:
        UserError: If there is none, or there are several of which none is the obvious one.
    """
    found = list(_encoders(checkpoint))
    if not found:
        names = [name for _, tensors in _state_dicts(checkpoint) for name in tensors]
        if any(map(_TRANSFORMER.search, names)):
            raise UserError(f'{path}: holds a vision transformer; the supernet starts from a ResNet of bottlenecks')
        raise UserError(f'{path}: holds no ResNet: none of its {len(names)} tensors is named …layer1.0.conv1.weight '
                        f'({_some(names) if names else "there are none"})')
    wheres = [encoder.where for encoder in found]
    if any('student' in where for where in wheres) and any('teacher' in where for where in wheres):
        found = [encoder for encoder in found if 'teacher' in encoder.where]
    else:
        found = [encoder for encoder in found if not _AVERAGED.search(encoder.where)] or found
    if not all(_same(found[0], other) for other in found[1:]):
        several = ', '.join(encoder.where or 'the file itself' for encoder in found)
        raise UserError(f'{path}: holds several networks ({several}); save the state_dict of the one to start from in a file '
                        'of its own')
    return found[0]


def read_arch(encoder: Encoder, path: str) -> Arch:
    """The arch of an encoder, by the shapes of its tensors, each of which is checked.

    Raises:
        UserError: If it is no plain ResNet of bottlenecks, in one line that says what it is, or which tensors are missing, left
            over or misshapen.
    """
    tensors, unknown = encoder.tensors, encoder.unknown
    if 'layer1.0.conv3.weight' not in tensors and 'layer1.0.conv2.weight' in tensors:
        raise UserError(f'{path}: a ResNet of basic blocks (18 or 34 layers); the supernet is made of bottlenecks (50 or more)')
    if unknown:
        reason = f'{len(unknown)} tensors of its backbone have no place in a plain ResNet of bottlenecks'
        if any(map(_DEEP_STEM.match, unknown)):
            reason = 'has a deep stem of several convolutions (ResNet-C and -D, CLIP) in place of one'
        elif any('.downsample.2.' in name for name in unknown):
            reason = 'pools its shortcuts before it projects them (ResNet-D), which the supernet does not'
        raise UserError(f'{path}: {reason} ({_some(encoder.prefix + name for name in unknown)})')
    depths = [len({name.split('.')[1] for name in tensors if name.startswith(f'layer{stage}.')}) for stage in (1, 2, 3, 4)]
    keys = ['conv1.weight', *(f'layer{stage}.0.conv1.weight' for stage in (1, 2, 3, 4))]
    missing = [key for key in keys if key not in tensors]
    if not missing:
        first = tuple(tensors['conv1.weight'].shape)
        if len(first) != 4 or first[2] not in STEM_KERNELS:
            raise UserError(f'{path}: its first convolution has weights of shape {first}; the supernet has 7x7 or 3x3 kernels')
        stem, *widths = (max(tensors[key].shape[:1], default=1) for key in keys)
        arch = Arch(stem, widths, depths)
        expected = dict(_shapes(arch, *first[1:3]))
        missing = [name for name in expected if name not in tensors and not name.endswith(_COUNT)]
    if missing:
        hint = '; its norms keep no running statistics' if all('running_' in name for name in missing) else ''
        raise UserError(f'{path}: {len(missing)} tensors of the backbone are missing ({_some(missing)}){hint}')
    for name, tensor in tensors.items():
        _check_shape(name, tuple(tensor.shape), expected.get(name), path)
    check_weights(tensors, path)
    return arch


def _shapes(arch: Arch, in_channels: int, stem_kernel: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Name and shape of every tensor of a backbone."""
    def unit(conv: str, norm: str, out: int, into: int, kernel: int) -> Iterator[tuple[str, tuple[int, ...]]]:
        yield f'{conv}.weight', (out, into, kernel, kernel)
        yield from ((f'{norm}.{name}', (out, )) for name in _NORM)
        yield f'{norm}.{_COUNT}', ()

    yield from unit('conv1', 'bn1', arch.stem, in_channels, stem_kernel)
    into = arch.stem
    for stage, (width, depth) in enumerate(zip(arch.widths, arch.depths, strict=True), start=1):
        for block in range(depth):
            place = f'layer{stage}.{block}.'
            yield from unit(f'{place}conv1', f'{place}bn1', width, into, 1)
            yield from unit(f'{place}conv2', f'{place}bn2', width, width, 3)
            yield from unit(f'{place}conv3', f'{place}bn3', EXPANSION * width, width, 1)
            if block == 0:
                yield from unit(f'{place}downsample.0', f'{place}downsample.1', EXPANSION * width, into, 1)
            into = EXPANSION * width


def _check_shape(name: str, shape: tuple[int, ...], expected: tuple[int, ...] | None, path: str) -> None:
    if shape == expected:
        return
    reason = ''
    if name.endswith('.conv2.weight') and shape[1:2] < shape[:1]:
        reason = ': its convolutions are grouped (ResNeXt)'
    elif name.endswith('.conv3.weight') and expected and shape[:1] != expected[:1]:
        reason = f': its stages do not put out {EXPANSION} times the width of their 3x3 convolutions (Wide ResNet)'
    raise UserError(f"{path}: not a ResNet that a subnet can be{reason} ({name} is {shape}, not {expected or 'expected'})")


def _state_dicts(tree: dict, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], dict[str, Tensor]]]:
    """Every dict with tensors in a checkpoint, and the keys that lead there."""
    tensors = {key: value for key, value in tree.items() if isinstance(key, str) and isinstance(value, Tensor)}
    if tensors:
        yield path, tensors
    for key, value in tree.items():
        if isinstance(key, str) and isinstance(value, dict) and len(path) < 3:
            yield from _state_dicts(value, (*path, key))


def _encoders(checkpoint: dict[str, Any]) -> Iterator[Encoder]:
    for path, tensors in _state_dicts(checkpoint):
        for naming in _NAMINGS:
            for prefix in [name[:match.start()] for name in tensors if (match := naming.anchor.search(name))]:
                yield _encoder('.'.join((*path, prefix)).strip('.'), tensors, naming, prefix)


def _encoder(where: str, tensors: dict[str, Tensor], naming: Naming, prefix: str) -> Encoder:
    own, unknown = {}, []
    left: Counter[str] = Counter()
    for name, tensor in tensors.items():
        rest = name[len(prefix):]
        if not name.startswith(prefix):
            left['.'.join(name.split('.')[:1 + name.startswith('module.')])] += 1
        elif _NAME.fullmatch(here := naming.translate(rest)):
            own[here] = tensor
        elif naming.parts.match(rest):
            unknown.append(rest)
        else:
            left[rest.split('.')[0]] += 1
    return Encoder(where, prefix, own, unknown, dict(left))


def _same(a: Encoder, b: Encoder) -> bool:
    return a.tensors.keys() == b.tensors.keys() and all(
        value.dtype == b.tensors[name].dtype and torch.equal(value, b.tensors[name]) for name, value in a.tensors.items())


def _some(names: Iterable[str]) -> str:
    names = list(names)
    return ', '.join(names[:3]) + (', …' if len(names) > 3 else '')
