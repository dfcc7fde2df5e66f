"""Write a small synthetic data set in COCO's layout: unlabelled images to train on, boxes and masks to score with."""

import argparse
import sys

from gaia_ssl.datasets.demo import generate_demo_data
from gaia_ssl.errors import UserError


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument('out', help='folder to create; a finished one with the same settings is kept as it is')
    parser.add_argument('--train', type=int, default=1000, help='number of training images')
    parser.add_argument('--val', type=int, default=200, help='number of validation images')
    parser.add_argument('--size', type=int, default=160, help='height and width of the images in pixels')
    parser.add_argument('--seed', type=int, default=0, help='the same seed renders the same images')
    return parser.parse_args()


def main() -> None:
    """Generate the data and print where they are."""
    args = parse_args()
    try:
        print(generate_demo_data(args.out, num_train=args.train, num_val=args.val, size=args.size, seed=args.seed))
    except UserError as error:
        sys.exit(f'error: {error}')


if __name__ == '__main__':
    main()
