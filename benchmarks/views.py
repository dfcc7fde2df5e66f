"""What one core of the data loader makes of images: whole views, or the crops alone, where a device does the rest.

    python benchmarks/views.py IMAGES [--num 60] [--repeats 5]
"""

import argparse
import copy
import functools
import warnings
from collections.abc import Sequence
from pathlib import Path

import record
import torch
from mmengine.config import Config
from mmengine.registry import DATASETS, DefaultScope
from torch.utils.data import Dataset

import gaia_ssl  # noqa: F401, which registers the dataset
from gaia_ssl.engine.device_views import make_views_on_device

CONFIGS = Path(__file__).parents[1] / 'configs' / 'data'
METHODS = 'mocov2', 'byol', 'ressl', 'densecl', 'distill'


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('images', help='folder of images')
    parser.add_argument('--num', type=int, default=60, metavar='N', help='images a run (default: %(default)s)')
    parser.add_argument('--repeats', type=int, default=5, metavar='N', help='runs of each side (default: %(default)s)')
    record.add_out(parser)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    warnings.filterwarnings('ignore', "Only use 'alpha'")
    rows = []
    for method in METHODS:
        config = Config.fromfile(CONFIGS / f'{method}_r_supernet.py')
        config.train_dataloader.dataset.data_root = arguments.images
        crops = copy.deepcopy(config)
        make_views_on_device(crops)
        with DefaultScope.overwrite_default_scope('mmpretrain'):
            whole, cropped = (DATASETS.build(each.train_dataloader.dataset) for each in (config, crops))
        places = [index * len(whole) // arguments.num for index in range(arguments.num)]

        sides = dict(views=functools.partial(load, whole, places), crops=functools.partial(load, cropped, places))
        seconds = record.in_turn(sides, arguments.repeats)
        ratio = record.median_ratio(seconds['views'], seconds['crops'])
        rates = {side: arguments.num / sorted(times)[len(times) // 2] for side, times in seconds.items()}
        rows.append(dict(method=method, **{f'{side}_images_per_second': rate for side, rate in rates.items()}, ratio=ratio))
        print(f"{method:8s} views {rates['views']:5.0f} images/s, crops alone {rates['crops']:5.0f} images/s: {ratio:.2f} x")
    record.write('views', dict(images=arguments.num, repeats=arguments.repeats, rows=rows), arguments.out)


def load(dataset: Dataset, places: Sequence[int]) -> None:
    for place in places:
        dataset[place]


if __name__ == '__main__':
    main()
