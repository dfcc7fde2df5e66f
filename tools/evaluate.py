"""Judge a backbone on labelled images.

    gaia-ssl evaluate CHECKPOINT --data DIR --protocol knn linear-fast

DIR holds train/ and val/, each with a folder a class. CHECKPOINT is an exported backbone or a supernet's checkpoint. Protocols:

    knn          k nearest neighbours on pooled features
    linear-fast  a logistic regression on them
    linear       a linear head on the frozen backbone, trained with augmentation (configs/downstream/imagenet-linear.py)
    semi-1       fine-tuning on 1 % of the labels (imagenet-semi-1p.py); semi-10 on 10 %
    finetune     fine-tuning on all (classification.py)
"""

import argparse
import pathlib

import import_guard  # noqa: F401

from rich.box import SIMPLE
from rich.table import Table

from gaia_ssl import Arch, cli
from gaia_ssl.engine.judge import PROTOCOLS, RUNS, SEEDLESS, TRAINED, Judge, JudgeSettings
from gaia_ssl.errors import UserError
from gaia_ssl.evaluation import EvaluationRecord
from gaia_ssl.files import claim_folder
from gaia_ssl.terminal import PlainConsole, say

RESULTS = 'evaluation.json'
FILES = (RESULTS, f'{RUNS}/backbone.pth', *(f'{RUNS}/{protocol}_seed*' for protocol in TRAINED))
"""What an evaluation leaves in its folder."""


def main() -> None:
    arguments = parse_arguments()
    if arguments.lr is not None and len(TRAINED.keys() & set(arguments.protocol)) > 1:
        raise UserError('--lr with several protocols that train: their learning rates differ; evaluate them one by one')
    cli.check_seeds(arguments.seeds)
    settings = JudgeSettings(arguments.resolution, arguments.k, arguments.small, arguments.epochs, arguments.batch_size,
                             arguments.lr, arguments.head_lr_mult, arguments.calibration_images, arguments.max_unreadable,
                             arguments.include, arguments.exclude)
    judge = Judge(arguments.checkpoint, arguments.data, settings, Arch.parse(arguments.arch) if arguments.arch else None,
                  arguments.val, arguments.workers)
    for protocol in arguments.protocol:
        judge.check(protocol)

    checkpoint = pathlib.Path(arguments.checkpoint).resolve()
    name = f"{checkpoint.parent.name}_{checkpoint.stem}_{judge.meta['arch']}"
    work_dir = pathlib.Path(arguments.work_dir or f'work_dirs/evaluate/{name}')
    claim_folder(work_dir, *FILES, resume=arguments.resume, overwrite=arguments.overwrite)
    record = EvaluationRecord(work_dir / RESULTS, judge.description())
    todo = [(protocol, seed) for protocol in dict.fromkeys(arguments.protocol)
            for seed in ([None] if protocol in SEEDLESS else dict.fromkeys(arguments.seeds)) if not record.has(protocol, seed)]
    if todo:
        judge.prepare(work_dir)
    for protocol, seed in todo:
        say(protocol if seed is None else f'{protocol}, seed {seed}')
        record.add(protocol, seed, **judge.score(protocol, seed))
    PlainConsole().print(table(record, judge))
    say(f'results: {record.path}')


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('checkpoint', metavar='CHECKPOINT', help='exported backbone, or checkpoint of a supernet')
    parser.add_argument('--data', required=True, metavar='DIR', help='folder with train/CLASS/ and val/CLASS/')
    parser.add_argument('--val', default='val', metavar='NAME', help='the folder in DIR to test on (default: %(default)s)')
    parser.add_argument('--arch', help='the subnet (default: that of the export, or the largest)')
    parser.add_argument('--protocol', nargs='+', default=['knn'], metavar='NAME',
                        help=f"any of {', '.join(PROTOCOLS)} (default: knn)")
    parser.add_argument('--seeds', nargs='+', type=int, default=[0], metavar='N',
                        help='one run each of the protocols that train (default: 0)')
    parser.add_argument('--small', action='store_true', help="the protocols' configs for little data and time")
    parser.add_argument('--epochs', type=int, metavar='N', help='length of the training; its schedule follows')
    parser.add_argument('--batch-size', type=int, metavar='N', help='images a batch of the training; its learning rate follows')
    parser.add_argument('--lr', type=float, metavar='RATE', help='learning rate, as it is')
    parser.add_argument('--head-lr-mult', type=float, metavar='FACTOR',
                        help='how much larger that of the head is (semi-1, semi-10)')
    parser.add_argument('-k', type=int, default=20, metavar='N', help='neighbours (default: %(default)s)')
    parser.add_argument('--resolution', type=int, metavar='N',
                        help='side of the images in pixels (default: that of the export or the training, or 224, or 32 with '
                        'the 3x3 stem)')
    cli.add_files_arguments(parser, listed=False)
    parser.add_argument('--calibration-images', type=int, default=1024, metavar='N',
                        help='images to calibrate batch norm on, at most (default: %(default)s); 0 keeps that of an export')
    parser.add_argument('--max-unreadable', type=float, default=0.01, metavar='SHARE',
                        help='share of unreadable images to accept (default: %(default)s)')
    parser.add_argument('--workers', type=int, default=2, metavar='N', help='processes that read images (default: %(default)s)')
    parser.add_argument('--work-dir', help='folder for results and runs (default: work_dirs/evaluate/CHECKPOINT_ARCH)')
    parser.add_argument('--resume', action='store_true', help='go on with what the work dir holds')
    parser.add_argument('--overwrite', action='store_true', help='replace what the work dir holds')
    return parser.parse_args()


def table(record: EvaluationRecord, judge: Judge) -> Table:
    """The summary, a row a protocol."""
    rich_table = Table(title=f'{judge.meta["arch"]} at {judge.resolution} px', box=SIMPLE)
    for header in ('protocol', 'top-1, %', 'std', 'runs'):
        rich_table.add_column(header, justify='left' if header == 'protocol' else 'right')
    for protocol, row in record.summary().items():
        std = '' if row['std'] is None else f"{100 * row['std']:.1f}"
        rich_table.add_row(protocol, f"{100 * row['mean']:.1f}", std, str(row['runs']))
    rich_table.caption = f'{len(judge.train.indices)} training, {len(judge.val.indices)} test images'
    return rich_table


if __name__ == '__main__':
    cli.run(main, cli.RESUME)
