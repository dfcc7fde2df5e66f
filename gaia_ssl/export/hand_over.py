"""From a supernet's checkpoint to a folder that other toolboxes run."""

from __future__ import annotations

import hashlib
import json
import os
import pathlib
from collections.abc import Callable

import gaia_ssl
from gaia_ssl.checkpoint import file_hash, load_checkpoint, save_checkpoint
from gaia_ssl.datasets.center_crops import CenterCrops
from gaia_ssl.evaluation import calibrate_bn
from gaia_ssl.export.mmdet_config import mask_rcnn_config
from gaia_ssl.export.verify import verify_subnet
from gaia_ssl.files import atomic_path
from gaia_ssl.models import extract_subnet
from gaia_ssl.models.supernet_meta import read_supernet_meta, student_backbone
from gaia_ssl.space import Arch

BACKBONE = 'backbone.pth'
MASK_RCNN = 'mask-rcnn_fpn_1x_coco.py'


def export_subnet(checkpoint: str, arch: Arch, data: str, out: str | os.PathLike, resolution: int = 224,
                  batch_size: int = 64, max_images: int = 1024, max_unreadable: float = 0.01,
                  report: Callable[[str], None] = print) -> pathlib.Path:
    """Extract a subnet, recalibrate its batch norms on the given images, verify it, and write it with a Mask R-CNN config.

    Args:
        checkpoint: A supernet's checkpoint.
        arch: The subnet, on the space's grid or not.
        data: Folder of images.
        out: Folder to write ``backbone.pth`` and ``mask-rcnn_fpn_1x_coco.py`` into.
        resolution: Side of the images for the calibration.
        batch_size: Images a batch of the calibration.
        max_images: Images to calibrate on, at most.
        max_unreadable: The share of unreadable images to accept.
        report: Where lines for the user go.

    Returns:
        The path of ``backbone.pth``.

    Raises:
        UserError: If the checkpoint is unusable, the arch does not fit, or there are no images.
        VerificationError: If the exported network does not compute what the supernet does.
    """
    source = load_checkpoint(checkpoint)
    supernet_meta = read_supernet_meta(source, checkpoint)
    supernet = student_backbone(source, checkpoint)
    subnet = extract_subnet(supernet, arch)
    images = CenterCrops(data, supernet_meta['mean'], supernet_meta['std'], supernet_meta['to_rgb'], resolution, batch_size,
                         max_images, max_unreadable=max_unreadable, report=report)
    report(f'calibrating batch norm on {len(images.indices)} images of {data}')
    calibrate_bn(subnet, images)
    difference = verify_subnet(supernet, subnet, next(iter(images))[:8])
    report(f'verified: features equal the supernet\'s, largest relative difference {difference:.1e}')

    meta = dict(
        arch=str(arch),
        space=supernet_meta['space'].to_dict(),
        method=supernet_meta['method'],
        stem_kernel=supernet.stem_kernel,
        flops=arch.flops(resolution, supernet.stem_kernel),
        params=arch.params(supernet.stem_kernel),
        resolution=resolution,
        mean=supernet_meta['mean'],
        std=supernet_meta['std'],
        to_rgb=supernet_meta['to_rgb'],
        source=pathlib.Path(checkpoint).name,
        source_sha256=file_hash(checkpoint),
        calibration=dict(images=len(images.indices), batch_size=batch_size, resolution=resolution,
                         image_list_sha256=hashlib.sha256(json.dumps(images.paths).encode()).hexdigest()),
        verification=dict(largest_relative_difference=difference),
        gaia_ssl_version=gaia_ssl.__version__,
    )
    path = pathlib.Path(out) / BACKBONE
    save_checkpoint(dict(state_dict=subnet.state_dict(), meta=dict(gaia_ssl=meta)), path)
    with atomic_path(path.with_name(MASK_RCNN)) as temporary:
        mask_rcnn_config(path, meta).dump(temporary)
    return path
