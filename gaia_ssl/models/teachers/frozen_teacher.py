"""A frozen network on the student's images, in the normalisation and size that it was trained with."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gaia_ssl.errors import UserError
from gaia_ssl.models.normalisation import normalisation_of
from gaia_ssl.models.teachers.exported_program import ExportedProgram
from gaia_ssl.models.teachers.features import TeacherFeatures, features_of
from gaia_ssl.models.teachers.foreign_backbone import build_foreign_backbone
from gaia_ssl.models.teachers.pretrained_resnet import PretrainedResNet
from gaia_ssl.registry import MODELS

SHOWN_DIGITS = 12


class FrozenTeacher(nn.Module):
    """Read when it is first needed, never trained, never saved: of its weights, a state dict has the SHA-256 alone.

    To the module that holds it, it has no parameters: no optimizer, EMA or DDP wrapper meets them.

    Args:
        config: The network (``type`` and arguments) and, beside them, how it wants its images: ``mean``, ``std`` and
            ``to_rgb`` (default: as they come, the student's) and ``size``, a side in pixels to resize them to (default: none).
        preprocessor: The student's, which normalises the images that are given.

    Raises:
        UserError: If a setting is none.
    """

    def __init__(self, config: Mapping[str, Any], preprocessor: nn.Module) -> None:
        super().__init__()
        if not isinstance(config, Mapping) or 'type' not in config:
            raise UserError(f"teacher is {config!r}; give the frozen network as dict(type='gaia_ssl.PretrainedResNet', "
                            'checkpoint=FILE), or another backbone and its checkpoint')
        self.config = dict(config)
        self._network_config = dict(config)
        self.size = self._network_config.pop('size', None)
        self._wanted = {name: self._network_config.pop(name) for name in ('mean', 'std', 'to_rgb') if name in config}
        self._check_settings()
        self._hidden: dict[str, nn.Module] = dict(preprocessor=preprocessor)  # in a dict, where nn.Module does not see them
        self.register_buffer('scale', torch.ones(3, 1, 1), persistent=False)
        self.register_buffer('shift', torch.zeros(3, 1, 1), persistent=False)
        self.register_buffer('sha256', torch.zeros(32, dtype=torch.uint8))
        self.flips = False

    @property
    def fingerprint(self) -> str | None:
        """SHA-256 of the weights in hex; None as long as they are neither read nor told by a checkpoint."""
        return bytes(self.sha256.tolist()).hex() if bool(self.sha256.any()) else None

    def described(self) -> dict[str, Any]:
        """The config in plain values, as JSON would have them."""
        return json.loads(json.dumps(self.config, default=str))

    def load(self) -> None:
        """Read the network, unless it has been.

        Raises:
            UserError: If it cannot be read, or a checkpoint has been loaded that was trained with another.
        """
        if 'network' in self._hidden:
            return
        network = _build(self._network_config).requires_grad_(False)
        fingerprint = _hash(network)
        self._check_same(fingerprint)
        self.sha256.copy_(fingerprint)
        given = normalisation_of(self._hidden['preprocessor'])
        if len(given['mean']) != 3:
            raise UserError(f"a frozen teacher takes images of three colours, these have {len(given['mean'])} channels; train "
                            'by another method')
        wanted = {**given, **self._wanted}
        self.flips = wanted['to_rgb'] != given['to_rgb']
        for name, value in _renormalisation(given, wanted, self.flips).items():
            getattr(self, name).copy_(value)
        self._hidden['network'] = network.to(self.sha256.device)

    @torch.no_grad()
    def forward(self, images: Tensor) -> TeacherFeatures:
        """Features of images ``(N, 3, H, W)``, normalised as the student takes them; the network is read if need be.

        Raises:
            UserError: As :meth:`load`, or if what the network puts out is no feature.
        """
        self.load()
        network = self._hidden['network']
        inner = getattr(network, 'timm_model', network)
        extra_tokens = getattr(inner, 'num_extra_tokens', getattr(inner, 'num_prefix_tokens', 1))
        return features_of(network(self.prepare(images)), extra_tokens, getattr(inner, 'output_fmt', None) == 'NHWC')

    def prepare(self, images: Tensor) -> Tensor:
        """Images in the teacher's own channel order, normalisation and size."""
        if self._wanted:
            images = (images.flip(1) if self.flips else images) * self.scale + self.shift
        if self.size is not None and tuple(images.shape[2:]) != (self.size, self.size):
            images = F.interpolate(images, (self.size, self.size), mode='bilinear', antialias=True, align_corners=False)
        return images

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> FrozenTeacher:
        """Move with the module that holds it."""
        super()._apply(fn, recurse)
        if 'network' in self._hidden:
            self._hidden['network']._apply(fn)
        return self

    def __deepcopy__(self, memo: dict) -> FrozenTeacher:
        """Itself: it never changes."""
        return self

    def _load_from_state_dict(self, state_dict: dict[str, Tensor], prefix: str, *args: Any) -> None:
        saved = state_dict.get(f'{prefix}sha256')
        if saved is not None and saved.shape == self.sha256.shape:
            self._check_same(saved)
        super()._load_from_state_dict(state_dict, prefix, *args)

    def _check_settings(self) -> None:
        for name in ('mean', 'std'):
            numbers = self._wanted.get(name, (1, 1, 1))
            if len(numbers) != 3 or not all(isinstance(each, int | float) for each in numbers):
                raise UserError(f'teacher.{name} is {numbers}; give three numbers, one a channel')
            if name == 'std' and not min(numbers) > 0:
                raise UserError(f'teacher.std is {numbers}; its numbers are above 0')
        if self.size is not None and (not isinstance(self.size, int) or self.size < 1):
            raise UserError(f'teacher.size is {self.size}; give a side in pixels')

    def _check_same(self, other: Tensor) -> None:
        known = self.sha256.cpu()
        if known.any() and other.any() and not torch.equal(known, other.cpu()):
            shown = [bytes(each.tolist()).hex()[:SHOWN_DIGITS] for each in (known, other.cpu())]
            raise UserError(f"the frozen teacher {self.config['type']} {self.config.get('checkpoint', '')} is not the one that "
                            f"the supernet was trained with (their weights hash to {' and '.join(shown)}); give that one, or "
                            'begin anew')


def _renormalisation(given: Mapping[str, Any], wanted: Mapping[str, Any], flips: bool) -> dict[str, Tensor]:
    """``scale`` and ``shift`` ``(3, 1, 1)`` that turn one normalisation into the other, after the channels are flipped."""
    (mean, std), (wanted_mean, wanted_std) = (
        [torch.tensor(each[name], dtype=torch.float64).view(3, 1, 1) for name in ('mean', 'std')] for each in (given, wanted))
    if flips:
        mean, std = mean.flip(0), std.flip(0)
    return dict(scale=std / wanted_std, shift=(mean - wanted_mean) / wanted_std)


def _build(config: Mapping[str, Any]) -> nn.Module:
    """The network in eval mode."""
    if MODELS.get(config['type']) not in (ExportedProgram, PretrainedResNet):
        return build_foreign_backbone(config)
    try:
        return MODELS.build(dict(config))
    except TypeError as error:  # an argument that is missing or that there is not
        raise UserError(f'the teacher {error}') from error


def _hash(network: nn.Module) -> Tensor:
    """SHA-256 of the names, shapes and values of all weights: 32 bytes."""
    digest = hashlib.sha256()
    for name, value in sorted(network.state_dict().items()):
        digest.update(f'{name} {value.dtype} {tuple(value.shape)}'.encode())
        digest.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return torch.tensor(list(digest.digest()), dtype=torch.uint8)
