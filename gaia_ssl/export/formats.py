"""An exported subnet outside OpenMMLab: ONNX, torch.export and safetensors, each verified after it is written."""

from __future__ import annotations

import importlib
import json
import os
import pathlib
import warnings
from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor

from gaia_ssl.errors import UserError
from gaia_ssl.export.verify import compare_features
from gaia_ssl.files import atomic_path, write_bytes
from gaia_ssl.models import SubnetResNet
from gaia_ssl.terminal import say

FORMATS = dict(onnx='backbone.onnx', safetensors='backbone.safetensors', torch='backbone.pt2')
"""Format -> name of its file."""
OPSET = 18
"""Of ONNX's operators: what torch 2.11's exporter writes without converting, and onnxruntime reads since 1.14."""
TOLERANCE = 1e-4
"""Largest difference from PyTorch to accept, relative to a map's largest feature: float32 summed in another order."""
BATCH_SIZES = (1, 2, 5)
"""To verify with, where the file is for any batch size."""
_ONNX_PACKAGES = ('onnx', 'onnxscript', 'onnxruntime')


def parse_formats(text: str) -> list[str]:
    """The formats in a comma-separated list, e.g. ``'onnx,safetensors,torch'``, each once.

    Raises:
        UserError: If one is unknown, none is given, or a package for one is not installed.
    """
    formats = list(dict.fromkeys(name.strip() for name in text.split(',') if name.strip()))
    if not formats:
        raise UserError(f"'{text}' names no format; choose from {', '.join(FORMATS)}")
    _check_formats(formats)
    return formats


def write_formats(subnet: SubnetResNet, folder: str | os.PathLike, formats: Sequence[str], resolution: int = 224,
                  meta: dict | None = None, images: Tensor | None = None,
                  report: Callable[[str], None] = say) -> dict[str, pathlib.Path]:
    """Write a subnet in each format, read it back, and compare its features with the subnet's.

    - ``onnx``: input ``images`` ``(batch, channels, resolution, resolution)``, any batch; outputs ``c2`` to ``c5`` (those of
      the subnet's ``out_indices``); opset 18.
    - ``torch``: ``torch.export``'s saved program, for ``torch.export.load(path).module()``; any batch, too.
    - ``safetensors``: the state dict, with torchvision's names, and ``meta`` as strings.

    Args:
        subnet: As :func:`gaia_ssl.models.extract_subnet` returns it, on the CPU, its batch norms calibrated; put in eval mode.
        folder: Where the files of :data:`FORMATS` go.
        formats: Any of :data:`FORMATS`.
        resolution: Side of the images in pixels.
        meta: What ``backbone.pth`` says of itself; arch, stem and resolution are always written.
        images: ``(N, channels, resolution, resolution)``, normalised, to verify with besides random ones.
        report: Where lines for the user go.

    Returns:
        Format -> file.

    Raises:
        UserError: As :func:`parse_formats`.
        VerificationError: If what was read back differs by more than :data:`TOLERANCE`; an earlier file then stays.
    """
    _check_formats(formats)
    subnet.eval()
    generator = torch.Generator().manual_seed(0)
    batches = [torch.randn(size, subnet.in_channels, resolution, resolution, generator=generator) for size in BATCH_SIZES]
    if images is not None:
        batches += [images, images[:1]]
    meta = dict(arch=str(subnet.arch), stem_kernel=subnet.stem_kernel, resolution=resolution) | (meta or {})
    paths = {}
    for name in formats:
        write, read = _CODECS[name]
        path = paths[name] = pathlib.Path(folder) / FORMATS[name]
        with atomic_path(path) as temporary, torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter('ignore')  # remarks of torch on its own code
            write(subnet, temporary, resolution, meta)
            run = read(subnet, temporary)
            difference = max(compare_features(subnet(batch), run(batch), TOLERANCE, f'the {name} of {subnet.arch}', 'PyTorch',
                                              subnet.out_indices) for batch in batches)
        report(f'verified: {path.name} ({path.stat().st_size / 1e6:.1f} MB) computes what PyTorch does, '
               f'largest relative difference {difference:.1e}')
    return paths


def _check_formats(formats: Iterable[str]) -> None:
    for name in formats:
        if name not in FORMATS:
            raise UserError(f"'{name}' is not a format; choose from {', '.join(FORMATS)}")
        for package in _ONNX_PACKAGES if name == 'onnx' else ():
            try:
                importlib.import_module(package)
            except ImportError as error:
                raise UserError(f'the format onnx needs {package}, which cannot be imported ({str(error).splitlines()[0]}); '
                                'run: python -m pip install -r requirements/onnx.txt') from error


def _write_onnx(subnet: SubnetResNet, path: pathlib.Path, resolution: int, meta: dict) -> None:
    program = torch.onnx.export(
        subnet, (_example(subnet, resolution), ), dynamo=True, opset_version=OPSET, verbose=False, input_names=['images'],
        output_names=[f'c{index + 2}' for index in subnet.out_indices], dynamic_shapes=({0: torch.export.Dim('batch')}, ))
    assert program is not None  # as it is with dynamo=True
    program.model.metadata_props.update(_as_strings(meta))
    program.save(path, external_data=False)


def _read_onnx(subnet: SubnetResNet, path: pathlib.Path) -> Callable[[Tensor], list[Tensor]]:
    import onnx
    import onnxruntime
    onnx.checker.check_model(str(path))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(str(path), options, providers=['CPUExecutionProvider'])
    return lambda images: [torch.from_numpy(out) for out in session.run(None, dict(images=images.numpy()))]


def _write_torch(subnet: SubnetResNet, path: pathlib.Path, resolution: int, meta: dict) -> None:
    program = torch.export.export(subnet, (_example(subnet, resolution), ), dynamic_shapes=({0: torch.export.Dim('batch')}, ))
    texts = {f'{key}.txt': value for key, value in _as_strings(meta).items()}
    write_bytes(path, lambda file: torch.export.save(program, file, extra_files=texts))


def _read_torch(subnet: SubnetResNet, path: pathlib.Path) -> Callable[[Tensor], Sequence[Tensor]]:
    return torch.export.load(path).module()


def _write_safetensors(subnet: SubnetResNet, path: pathlib.Path, resolution: int, meta: dict) -> None:
    from safetensors.torch import save
    path.write_bytes(save({name: value.contiguous() for name, value in subnet.state_dict().items()}, _as_strings(meta)))


def _read_safetensors(subnet: SubnetResNet, path: pathlib.Path) -> Callable[[Tensor], Sequence[Tensor]]:
    from safetensors.torch import load_file
    again = SubnetResNet(subnet.arch, stem_kernel=subnet.stem_kernel, in_channels=subnet.in_channels,
                         out_indices=subnet.out_indices).eval()
    again.load_state_dict(load_file(path))
    return again


def _example(subnet: SubnetResNet, resolution: int) -> Tensor:
    """Two images, since a batch of one would be taken for a constant; all one number, since torch.export keeps them."""
    return torch.zeros(1, 1, 1, 1).expand(2, subnet.in_channels, resolution, resolution)


def _as_strings(meta: dict) -> dict[str, str]:
    return {key: value if isinstance(value, str) else json.dumps(value) for key, value in meta.items()}


_CODECS = dict(onnx=(_write_onnx, _read_onnx), torch=(_write_torch, _read_torch),
               safetensors=(_write_safetensors, _read_safetensors))
