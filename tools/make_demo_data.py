"""Render a small data set in COCO's layout: images to train on without labels, boxes and masks to score with."""

import argparse

import import_guard  # noqa: F401

from gaia_ssl import cli
from gaia_ssl.datasets.demo import generate_demo_data
from gaia_ssl.terminal import say


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument('out', metavar='OUT', help='folder to create; a finished one with the same settings is kept as it is')
    parser.add_argument('--train', type=int, default=1000, metavar='N', help='number of training images')
    parser.add_argument('--val', type=int, default=200, metavar='N', help='number of validation images')
    parser.add_argument('--size', type=int, default=160, metavar='N', help='height and width of the images in pixels')
    parser.add_argument('--seed', type=int, default=0, metavar='N', help='the same seed renders the same images')
    arguments = parser.parse_args()
    say(generate_demo_data(arguments.out, arguments.train, arguments.val, arguments.size, arguments.seed))


if __name__ == '__main__':
    cli.run(main)
