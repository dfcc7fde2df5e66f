"""kNN accuracy of a subnet's features on labelled images: python tools/evaluate.py CHECKPOINT --data DIR.

DIR holds train/ and val/, each with a folder a class. Labels serve this measurement only.
"""

import argparse
import os

import import_guard  # noqa: F401

import numpy as np
import torch

from gaia_ssl import Arch, cli
from gaia_ssl.checkpoint import load_checkpoint
from gaia_ssl.datasets.center_crops import CenterCrops
from gaia_ssl.evaluation import calibrate_bn, knn_accuracy
from gaia_ssl.export import extract_subnet
from gaia_ssl.models.supernet_meta import read_supernet_meta, student_backbone


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('checkpoint', help='checkpoint of the supernet')
    parser.add_argument('--arch', help='the subnet (default: the largest)')
    parser.add_argument('--data', required=True, metavar='DIR', help='folder with train/CLASS/ and val/CLASS/')
    parser.add_argument('--resolution', type=int, default=224, help='side of the images in pixels (default: %(default)s)')
    parser.add_argument('--batch-size', type=int, default=64, help='images a batch (default: %(default)s)')
    parser.add_argument('-k', type=int, default=20, help='neighbours (default: %(default)s)')
    arguments = parser.parse_args()

    checkpoint = load_checkpoint(arguments.checkpoint)
    meta = read_supernet_meta(checkpoint, arguments.checkpoint)
    arch = Arch.parse(arguments.arch) if arguments.arch else meta['space'].max
    subnet = extract_subnet(student_backbone(checkpoint, arguments.checkpoint), arch)
    train, val = (CenterCrops(os.path.join(arguments.data, split), meta['mean'], meta['std'], meta['to_rgb'],
                              arguments.resolution, arguments.batch_size, with_label=True) for split in ('train', 'val'))
    calibrate_bn(subnet, train)
    accuracy = knn_accuracy(pooled_features(subnet, train), np.array(train.labels), pooled_features(subnet, val),
                            np.array(val.labels), arguments.k)
    print(f'{arch}: kNN top-1 {accuracy:.1%} (k={arguments.k}, {len(train.labels)} training, {len(val.labels)} test images)')


@torch.no_grad()
def pooled_features(subnet: torch.nn.Module, images: CenterCrops) -> np.ndarray:
    """Average-pooled C5 of each image, ``(N, channels)``."""
    return torch.cat([subnet(batch)[-1].mean(dim=(2, 3)) for batch in images]).numpy()


if __name__ == '__main__':
    cli.run(main)
