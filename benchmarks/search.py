"""Seconds a subnet of DATA_SPACE: the walk over the tree of prefixes against one forward a subnet, with the
teacher's features computed once and with the teacher run anew for each subnet; one thread each.

    python benchmarks/search.py [--dtype float32|bfloat16] [--task c5|c2-c5|...] [--measure paper|combined|...] [--images 16]
"""

import argparse
import statistics

import numpy as np
import record
import torch
from mmpretrain.registry import MODELS

from gaia_ssl import DATA_SPACE
from gaia_ssl.allocator import keep_freed_memory
from gaia_ssl.search import MEASURES, TASKS, ForwardEvaluator, PrefixEvaluator
from gaia_ssl.search.measures import MIN_IMAGES
from gaia_ssl.search.task import quantities_of
from gaia_ssl.space import ArchTree

DEVICE = 'cuda' if torch.cuda.is_available() else 'cpu'


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--dtype', choices=['float32', 'bfloat16'], default='float32')
    parser.add_argument('--task', choices=TASKS, default='c5')
    parser.add_argument('--measure', choices=MEASURES, default='paper')
    parser.add_argument('--images', type=int, default=16)
    parser.add_argument('--units', type=int, default=3, help='adjacent subtrees of 117 archs to walk')
    parser.add_argument('--archs', type=int, default=12, help='archs to run one by one, drawn at random')
    parser.add_argument('--resolution', type=int, default=224)
    parser.add_argument('--repeats', type=int, default=2)
    record.add_out(parser)
    arguments = parser.parse_args()
    if arguments.measure != 'paper' and arguments.images < MIN_IMAGES:
        parser.error(f'--measure {arguments.measure} needs --images {MIN_IMAGES} or more')

    keep_freed_memory()
    torch.backends.cudnn.allow_tf32 = False  # as the search does
    torch.set_num_threads(1)
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    model = MODELS.build(dict(
        type='gaia_ssl.SupernetMoCo', queue_len=64, backbone=dict(type='gaia_ssl.DynamicResNet', space=DATA_SPACE),
        neck=dict(type='mmpretrain.MoCoV2Neck', hid_channels=2048, out_channels=128),
        head=dict(type='mmpretrain.ContrastiveHead', loss=dict(type='mmpretrain.CrossEntropyLoss')))).to(DEVICE)
    settings = dict(model=model, quantities=quantities_of([arguments.task], arguments.measure),
                    dtype=getattr(torch, arguments.dtype))
    walker, plain = PrefixEvaluator(**settings), ForwardEvaluator(**settings)
    images = torch.randn(arguments.images, 3, arguments.resolution, arguments.resolution, device=DEVICE)
    tree = ArchTree(list(DATA_SPACE))
    units = rng.integers(tree.num_units // 9) * 9 + np.arange(arguments.units)  # nine have the same stage 1
    archs = [DATA_SPACE[int(index)] for index in rng.choice(len(DATA_SPACE), arguments.archs, replace=False)]
    prepared = walker.prepare(images)
    targets = walker.teach(prepared)
    walked_archs = [DATA_SPACE[row] for unit in units for row in range(*tree.unit_rows(unit))]

    def recompute() -> None:
        for arch in archs[:4]:
            plain.score(images, [arch])

    sides = dict(
        walk=lambda: walker.walk(prepared, targets, tree, units, lambda *_: None),
        forward=lambda: plain.score_prepared(prepared, targets, archs),
        recompute=recompute)
    seconds = record.in_turn(sides, arguments.repeats)
    per_arch = {name: statistics.median(seconds[name]) / count
                for name, count in dict(walk=len(walked_archs), forward=len(archs), recompute=4).items()}
    # What was drawn is scaled to the mean of the space.
    per_arch['walk'] *= tree.macs().sum() / len(tree) / (ArchTree(walked_archs).macs().sum() / len(walked_archs))
    mean = DATA_SPACE.costs()['flops'].mean()
    teacher = DATA_SPACE.max.flops()
    per_arch['forward'] *= mean / np.mean([arch.flops() for arch in archs])
    per_arch['recompute'] *= (mean + teacher) / np.mean([arch.flops() + teacher for arch in archs[:4]])
    counted = dict(forward=mean * len(tree) / tree.macs().sum(),
                   recompute=(mean + teacher) * len(tree) / tree.macs().sum())
    ratios = {name: per_arch[name] / per_arch['walk'] for name in counted}
    print(f'{arguments.task}, {arguments.dtype}, {arguments.images} images: '
          f"{1000 * per_arch['walk'] / arguments.images:.2f} ms a subnet and image in the walk")
    whole = per_arch['walk'] / arguments.images * len(tree) * 1024
    print(f'  the whole space on 1,024 images: {whole / 60:.1f} minutes')
    for name in counted:
        print(f'  against {name}: {per_arch[name] * 1000 / arguments.images:.1f} ms, ratio {ratios[name]:.1f}, '
              f'counted {counted[name]:.1f} ({ratios[name] / counted[name]:.0%})')
    record.write(f'search_{arguments.task}_{arguments.dtype}_{DEVICE}',
                 dict(seconds=seconds, seconds_a_subnet=per_arch, seconds_whole_space_1024_images=whole, ratios=ratios,
                      counted=counted), arguments.out)


if __name__ == '__main__':
    main()
