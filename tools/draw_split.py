"""Draw a share of the labels, the same from each class.

    gaia-ssl split DIR --percent 1

Writes DIR/meta/train_labeled_1percent.txt, which configs/downstream/imagenet-semi-1p.py reads.
"""

import argparse
import os

import import_guard  # noqa: F401

from gaia_ssl import cli
from gaia_ssl.datasets import ImageFolder
from gaia_ssl.evaluation import stratified_split, write_split
from gaia_ssl.files import claim_folder
from gaia_ssl.terminal import say


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('data', metavar='DIR', help='folder with train/CLASS/')
    parser.add_argument('--percent', type=float, default=1, metavar='X', help='share of the images (default: %(default)s)')
    parser.add_argument('--seed', type=int, default=0, metavar='N', help='of the draw (default: %(default)s)')
    parser.add_argument('--overwrite', action='store_true', help='replace an earlier list')
    arguments = parser.parse_args()

    train = os.path.join(arguments.data, 'train')
    images = ImageFolder(train, with_label=True)
    infos = [images.get_data_info(index) for index in range(len(images))]
    labels = [info['gt_label'] for info in infos]
    indices = stratified_split(labels, images.CLASSES, arguments.percent / 100, arguments.seed)
    name = f'train_labeled_{arguments.percent:g}percent.txt'
    path = claim_folder(os.path.join(arguments.data, 'meta'), name, resume=None, overwrite=arguments.overwrite) / name
    write_split(path, [os.path.relpath(info['img_path'], train) for info in infos], labels, indices)
    say(f'{len(indices)} of {len(images)} images: {path}')


if __name__ == '__main__':
    cli.run(main)
