"""Hand over one subnet: python tools/export.py CHECKPOINT ARCH --data DIR OUT."""

import argparse

from gaia_ssl import Arch, cli
from gaia_ssl.export.hand_over import MASK_RCNN, export_subnet
from gaia_ssl.files import claim_folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('checkpoint', help='checkpoint of the supernet')
    parser.add_argument('arch', help='the subnet, e.g. 32-48x3-96x2-192x17-512x3')
    parser.add_argument('out', help='folder to write to')
    parser.add_argument('--data', required=True, metavar='DIR', help='folder of images to recalibrate batch norm on')
    parser.add_argument('--resolution', type=int, default=224, help='side of the images in pixels (default: %(default)s)')
    parser.add_argument('--batch-size', type=int, default=64, help='images a batch (default: %(default)s)')
    parser.add_argument('--max-images', type=int, default=1024, help='images to use at most (default: %(default)s)')
    parser.add_argument('--max-unreadable', type=float, default=0.01,
                        help='share of unreadable images to accept (default: %(default)s)')
    parser.add_argument('--overwrite', action='store_true', help='replace an earlier export in OUT')
    arguments = parser.parse_args()

    arch = Arch.parse(arguments.arch)
    claim_folder(arguments.out, '*.pth', overwrite=arguments.overwrite)
    path = export_subnet(arguments.checkpoint, arch, arguments.data, arguments.out, arguments.resolution,
                         arguments.batch_size, arguments.max_images, arguments.max_unreadable)
    print(f'backbone:          {path}')
    print(f'Mask R-CNN config: {path.with_name(MASK_RCNN)}')


if __name__ == '__main__':
    cli.run(main)
