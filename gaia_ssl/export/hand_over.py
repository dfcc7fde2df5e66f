"""From a supernet's checkpoint to a folder that other toolboxes run."""

from __future__ import annotations

import os
import pathlib
import shutil
from collections.abc import Callable, Sequence

import torch
from mmengine.device import get_device

import gaia_ssl
from gaia_ssl.checkpoint import file_hash, load_checkpoint, save_checkpoint
from gaia_ssl.config_file import write_config
from gaia_ssl.datasets.center_crops import CenterCrops
from gaia_ssl.datasets.fingerprint import images_fingerprint
from gaia_ssl.errors import UserError
from gaia_ssl.evaluation import calibrate_bn
from gaia_ssl.export import backbone
from gaia_ssl.export.calibration_files import choose_files, set_patterns
from gaia_ssl.export.formats import FORMATS, write_formats
from gaia_ssl.export.into_config import PREFIX, IntoConfig
from gaia_ssl.export.model_card import model_card
from gaia_ssl.export.tasks import TASKS, PreparedTask
from gaia_ssl.export.verify import verify_subnet
from gaia_ssl.export.winner import Winner
from gaia_ssl.file_choice import ALL_FILES, FileChoice
from gaia_ssl.files import scratch_folder
from gaia_ssl.models import extract_subnet
from gaia_ssl.models.supernet_meta import read_supernet_meta, student_backbone, trained_resolution
from gaia_ssl.pixel_range import PixelRange
from gaia_ssl.space import Arch
from gaia_ssl.terminal import say

BACKBONE = 'backbone.pth'
CARD = 'README.md'
MODULE = 'backbone.py'
"""For code without OpenMMLab: :mod:`gaia_ssl.export.backbone` as it is; what differs is in the file of weights."""


def export_subnet(checkpoint: str, arch: Arch, images: str, out: str | os.PathLike, resolution: int | None = None,
                  batch_size: int = 64, max_images: int = 1024, max_unreadable: float = 0.01,
                  tasks: Sequence[PreparedTask] = (), winner: Winner | None = None, names: frozenset[str] | None = None,
                  choice: FileChoice = ALL_FILES, formats: Sequence[str] = ('safetensors', ), into: Sequence[IntoConfig] = (),
                  report: Callable[[str], None] = say) -> pathlib.Path:
    """Extract a subnet, recalibrate its batch norms on the given images, verify it, and write it with the tasks' configs.

    Args:
        checkpoint: A supernet's checkpoint.
        arch: The subnet, on the space's grid or not.
        images: Folder of images for the calibration.
        out: Folder to write into: ``backbone.pth``, ``backbone.py``, a file a format, a config a task, and ``README.md``.
            An earlier export in it is replaced whole.
        resolution: Side of the images in pixels, for the calibration and the configs of classification; default that
            of the training, or where it is not known 224, or 32 for a backbone with the 3x3 stem.
        batch_size: Images a batch of the calibration.
        max_images: Images to calibrate on, at most.
        max_unreadable: The share of unreadable images to accept.
        tasks: What the backbone is for.
        winner: The search's result, if ``arch`` is from one.
        names: Calibrate only on files of these names, with or without suffix; None takes all.
        choice: Which files of the folder; without any, those that the search or else the training took, see
            :func:`~gaia_ssl.export.calibration_files.choose_files`.
        formats: Further forms of the backbone, see :func:`gaia_ssl.export.write_formats`.
        into: Configs of the user's that get the backbone.
        report: Where lines for the user go.

    Returns:
        The path of ``backbone.pth``.

    Raises:
        UserError: If the checkpoint is unusable, the arch does not fit it or a task, or there are no images.
        VerificationError: If the exported network does not compute what the supernet does.
    """
    source = load_checkpoint(checkpoint)
    supernet_meta = read_supernet_meta(source, checkpoint)
    supernet = student_backbone(source, checkpoint)
    subnet = extract_subnet(supernet, arch)
    path = pathlib.Path(out).resolve() / BACKBONE
    normalisation = {name: supernet_meta[name] for name in ('mean', 'std', 'to_rgb')}
    pixel_range = PixelRange.of(supernet_meta.get('pixel_range'))
    if resolution is None:
        resolution = trained_resolution(supernet_meta)
    described = dict(arch=str(arch), stem_kernel=supernet.stem_kernel, resolution=resolution, **normalisation)
    if pixel_range is not None:
        described['pixel_range'] = pixel_range.arguments()
    wanted: list[PreparedTask | IntoConfig] = [*tasks, *into]
    configs = {each.name: each.fill(path, described) for each in wanted}  # before long work starts: they may not fit

    recorded = (winner.search, 'the search') if winner else (supernet_meta, 'the training')
    choice = choose_files(choice, recorded[0].get('files'), recorded[1], images, report)
    for task in tasks:
        if task.data.images == images:
            set_patterns(configs[task.name], choice)
    crops = CenterCrops(images, **normalisation, resolution=resolution, batch_size=batch_size, max_images=max_images,
                        names=names, choice=choice, pixel_range=pixel_range, max_unreadable=max_unreadable, device=get_device(),
                        report=report)
    report(f'calibrating batch norm on {len(crops.indices)} images of {images}')
    calibrate_bn(subnet.to(crops.device), crops)
    subnet.cpu()
    probe = next(iter(crops))[:8].cpu()
    with torch.no_grad():
        finite = all(torch.isfinite(features).all() for features in subnet(probe))
    if not finite:
        raise UserError(f'{checkpoint}: the features of its {arch} are not finite on these images; the training has diverged')
    difference = verify_subnet(supernet, subnet, probe)
    report(f'verified: features equal the supernet\'s, largest relative difference {difference:.1e}')

    meta = dict(
        **described,
        space=supernet_meta['space'].to_dict(),
        method=supernet_meta['method'],
        flops=arch.flops(resolution, supernet.stem_kernel, supernet.in_channels),
        params=arch.params(supernet.stem_kernel, in_channels=supernet.in_channels),
        source=pathlib.Path(checkpoint).name,
        source_sha256=file_hash(checkpoint),
        calibration=dict(images=len(crops.indices), batch_size=batch_size, resolution=resolution,
                         images_sha256=images_fingerprint(crops.paths, images, report), files=choice.arguments()),
        verification=dict(largest_relative_difference=difference),
        search=None if winner is None else winner.to_dict(),
        gaia_ssl_version=gaia_ssl.__version__,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    with scratch_folder(path.parent, 'export') as new:
        save_checkpoint(dict(state_dict=subnet.state_dict(), meta=dict(gaia_ssl=meta)), new / BACKBONE)
        write_formats(subnet, new, formats, resolution, meta, probe, report)
        for name, config in configs.items():
            write_config(config, new / f'{name}.py', beside=path)
        shutil.copyfile(backbone.__file__, new / MODULE)
        (new / CARD).write_text(model_card(meta, winner, [*tasks, *into]), encoding='utf-8')
        _replace_export(path.parent, new)
    return path


def _replace_export(folder: pathlib.Path, new: pathlib.Path) -> None:
    """Move the whole export ``new`` into ``folder``, the model card last, and remove what only the earlier one had."""
    names = [file.name for file in _files_of_an_export(new)]
    for name in reversed(names):
        (new / name).replace(folder / name)
    for file in _files_of_an_export(folder):
        if file.name not in names:
            file.unlink()


def check_out(out: str | os.PathLike, overwrite: bool, checkpoint: str | os.PathLike) -> None:
    """Whether an export of ``checkpoint`` may go into ``out``.

    Raises:
        UserError: If it would replace an earlier export and is not meant to, a file that is none's, or the checkpoint.
    """
    out = pathlib.Path(out)
    if os.path.realpath(out / BACKBONE) == os.path.realpath(checkpoint):  # unlike resolve(), with loops of links, too
        raise UserError(f'{checkpoint}: the supernet itself would be replaced; choose another folder')
    if out.exists() and not out.is_dir():
        raise UserError(f'{out} is a file; give a folder for the output')
    there = _files_of_an_export(out)
    if there and there[-1].name != BACKBONE:
        raise UserError(f'{there[0]} is not that of an export, and would be replaced; choose another folder')
    if there and not overwrite:
        raise UserError(f'{out} already holds {BACKBONE}; replace the export in it with --overwrite, or choose another folder')


def _files_of_an_export(folder: pathlib.Path) -> list[pathlib.Path]:
    """Those in ``folder`` with a name that an export writes, ``backbone.pth`` last: what lies beside it is an export's."""
    names = (CARD, MODULE, *(f'{name}{size}.py' for name in TASKS for size in ('', '_small')), *FORMATS.values(), BACKBONE)
    return [*sorted(folder.glob(f'{PREFIX}*.py')), *(folder / name for name in names if (folder / name).is_file())]
