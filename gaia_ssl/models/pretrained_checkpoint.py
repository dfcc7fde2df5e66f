"""Other people's pretrained ResNets: read without running code, their arch told by the shapes."""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import os
import pathlib
import urllib.parse
import urllib.request
from typing import Any

import torch
from mmengine.runner.checkpoint import get_torchvision_models
from torch import Tensor

from gaia_ssl.checkpoint import load_checkpoint
from gaia_ssl.errors import UserError
from gaia_ssl.models.resnet_keys import Encoder, find_encoder, read_arch
from gaia_ssl.space import Arch

_TORCHVISION = 'torchvision://'


@dataclasses.dataclass(frozen=True)
class PretrainedResNet:
    """A ResNet of bottlenecks, taken out of a checkpoint.

    Attributes:
        path: The file, or the address, as it was given.
        arch: Read off the shapes.
        state_dict: With torchvision's key names, in float32, without the classifier.
        encoder: Where in the file it was, and what was left there.
    """

    path: str
    arch: Arch
    state_dict: dict[str, Tensor]
    encoder: Encoder

    @property
    def stem_kernel(self) -> int:
        """Side of the first convolution's kernel."""
        return self.state_dict['conv1.weight'].size(2)

    @property
    def in_channels(self) -> int:
        """Channels of the images."""
        return self.state_dict['conv1.weight'].size(1)

    def __str__(self) -> str:
        """One line: what was taken and what was left."""
        where = f"under '{self.encoder.where}'" if self.encoder.where else 'at its top'
        left = ', '.join(f'{name} ({count})' for name, count in self.encoder.left.items()) or 'nothing'
        return f'{self.path}: the ResNet {self.arch}, {len(self.encoder.tensors)} tensors {where}; left out: {left}'


def read_pretrained(path: str | os.PathLike) -> PretrainedResNet:
    """Read any ResNet of bottlenecks with one 7x7 or 3x3 convolution as its stem.

    Known are the names of torchvision and all that keep them behind whatever prefix (timm, mmpretrain, mmdet, mmseg, MoCo,
    DenseCL, DINO, SwAV, BYOL, VICReg, exports and supernets of gaia_ssl), of ``nn.Sequential(*resnet.children())`` (lightly),
    and of detectron2, in ``.pth`` files (read with ``weights_only``) and safetensors. What weights do not tell is taken to be
    as in torchvision: the stride on the 3x3 convolution, the epsilon of batch norm 1e-5, and the images' normalisation.

    Args:
        path: A file, also as ``file:///…``; ``torchvision://resnet50``; or an http(s) address. What is fetched stays in
            torch's own cache.

    Raises:
        UserError: If it cannot be read, would run code, or is not such a network; one line.

    Example::

        pretrained = read_pretrained('moco_v2_800ep_pretrain.pth.tar')
        pretrained.arch  # 64-64x3-128x4-256x6-512x3
    """
    name = str(path)
    checkpoint = read_foreign_checkpoint(name)
    encoder = find_encoder(checkpoint, name)
    arch = read_arch(encoder, name)
    norms = (key.rpartition('.')[0] for key in encoder.tensors if key.endswith('.running_mean'))
    counts = {f'{norm}.num_batches_tracked': torch.tensor(0) for norm in norms}  # frozen batch norms have none
    state_dict = {key: value.float() if value.is_floating_point() else value for key, value in encoder.tensors.items()}
    return PretrainedResNet(name, arch, {**counts, **state_dict}, encoder)


def read_foreign_checkpoint(name: str) -> dict[str, Any]:
    """What is in a file of anybody's, or behind an address; see :func:`read_pretrained`.

    Raises:
        UserError: If it cannot be read, or not without running code.
    """
    file = local_file(name)
    if file.suffix == '.pkl':
        raise UserError(f'{name}: a pickle, as detectron2 keeps its networks, which only running code can read; convert it by '
                        'the tool that made it to a .pth of a state_dict, or to safetensors')
    if file.suffix == '.safetensors':
        return _read_safetensors(file, name)
    return load_checkpoint(file, with_config=True, harmless=[argparse.Namespace])


def local_file(name: str) -> pathlib.Path:
    """The file itself, fetched first if it is elsewhere."""
    address = name
    if name.startswith(_TORCHVISION):
        addresses = get_torchvision_models()
        model = name.removeprefix(_TORCHVISION)
        if model not in addresses:
            raise UserError(f"{name}: torchvision has no such weights; e.g. {_TORCHVISION}resnet50, {_TORCHVISION}resnet101")
        address = addresses[model]
    if address.startswith('file://'):
        return pathlib.Path(urllib.request.url2pathname(urllib.parse.urlparse(address).path))
    if not address.startswith(('http://', 'https://')):
        return pathlib.Path(name).expanduser()
    file = pathlib.PurePosixPath(urllib.parse.urlparse(address).path).name
    if address == name:  # elsewhere than at torchvision, names need not tell one network from another
        file = f'{hashlib.sha256(address.encode()).hexdigest()[:8]}-{file}'
    path = pathlib.Path(torch.hub.get_dir()) / 'checkpoints' / file
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            torch.hub.download_url_to_file(address, str(path), progress=False)  # moved there once it is whole
        except OSError as error:
            raise UserError(f'{name}: cannot be fetched from {address} ({error}); give a file instead') from error
    return path


def _read_safetensors(file: pathlib.Path, name: str) -> dict[str, Tensor]:
    from safetensors import SafetensorError  # here, for a backbone that a toolbox builds brings no package along
    from safetensors.torch import load_file

    if not file.is_file():
        raise UserError(f'{name}: no such checkpoint file')
    try:
        return load_file(file)
    except SafetensorError as error:
        raise UserError(f'{name}: cut short or no safetensors file ({error}); copy it again') from error
