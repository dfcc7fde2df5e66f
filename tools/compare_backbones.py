"""Is the searched backbone worth it? The same training on your downstream data, from several starts.

    searched   the searched subnet
    resnet50   ResNet-50's shape at the same FLOPs, from the same supernet
    scratch    the searched arch, untrained

and with --source FILE, the pretrained ResNet that the supernet started from:

    cut        the searched arch cut out of it, without a supernet's training
    source     the whole of it

    gaia-ssl compare CHECKPOINT ARCH --for coco-mask-rcnn --data data/coco --seeds 0 1 2

What is finished is kept: --resume does the rest.
"""

import argparse
import math

import import_guard  # noqa: F401

from rich.box import SIMPLE
from rich.table import Table

from gaia_ssl import Arch, cli
from gaia_ssl.errors import UserError
from gaia_ssl.export.comparison import RESULTS, TABLE, Comparison, summary, unit_of
from gaia_ssl.export.run_summary import summary_table
from gaia_ssl.export.tasks import TASKS, prepare_task
from gaia_ssl.export.toolbox import tool
from gaia_ssl.progress import Progress
from gaia_ssl.terminal import PlainConsole


def main() -> None:
    arguments = parse_arguments()
    arch = Arch.parse(arguments.arch)
    if arguments.task not in TASKS:
        raise UserError(f"'{arguments.task}' is not a downstream task; choose from {', '.join(TASKS)}")
    cli.check_seeds(arguments.seeds)
    tool(TASKS[arguments.task].toolbox, 'train.py')  # raises where the toolbox is missing
    task = prepare_task(arguments.task, arguments.data, arguments.small)
    work_dir = arguments.work_dir or f'work_dirs/compare/{task.name}_{arch}'
    calibration = dict(resolution=arguments.resolution, max_images=arguments.max_images)
    comparison = Comparison(arguments.checkpoint, arch, task, work_dir, arguments.cfg_options, arguments.length, arguments.gpus,
                            calibration, arguments.source, resume=arguments.resume, overwrite=arguments.overwrite)
    console = PlainConsole(110)
    run = comparison.run_summary
    console.print(summary_table([(task.name, len(task.data.classes), run)]))
    meant = task.config.auto_scale_lr.base_batch_size
    if unit_of(task.config) == 'iterations' and run.total_batch != meant:
        console.print(f'note: the config is for {meant} images an iteration, here are {run.total_batch}; --length sets another '
                      'number of iterations')
    ratio = comparison.flops('resnet50') / comparison.flops('searched')
    if abs(ratio - 1) > 0.05:
        console.print(f"note: the nearest ResNet-50's shape in this supernet, {comparison.archs['resnet50']}, costs {ratio:.2f}"
                      ' times what the searched arch does')

    comparison.export()
    seeds = list(dict.fromkeys(arguments.seeds))
    progress = Progress(len(seeds) * len(comparison.archs), 'trainings', every=0)
    for seed in seeds:
        for start in comparison.archs:
            console.print(f'{start}, seed {seed}', style='bold')
            comparison.run(start, seed)
            progress.advance()
    console.print(comparison_table(comparison))
    console.print(f'each run: {comparison.folder / TABLE}   settings and all metrics: {comparison.folder / RESULTS}',
                  soft_wrap=True)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('checkpoint', metavar='CHECKPOINT', help='checkpoint of the supernet')
    parser.add_argument('arch', metavar='ARCH', help='the searched subnet, e.g. 32-48x3-96x2-192x17-512x3')
    parser.add_argument('--for', dest='task', required=True, metavar='TASK', help=', '.join(TASKS))
    parser.add_argument('--data', required=True, metavar='DIR', help='the data of the task, as gaia-ssl export takes them')
    parser.add_argument('--source', metavar='FILE',
                        help='the pretrained ResNet of the supernet, as --start took it: compare with that as well')
    parser.add_argument('--small', action='store_true', help='the variant of the task for little data and time')
    parser.add_argument('--seeds', nargs='+', type=int, default=[0, 1, 2], metavar='N',
                        help='a training each from every start (default: 0 1 2)')
    parser.add_argument('--gpus', type=int, default=1, metavar='N', help='processes of a training (default: %(default)s)')
    parser.add_argument('--cfg-options', nargs='+', action=cli.CfgOptions, metavar='KEY=VALUE',
                        help='override settings of the config in every run, e.g. optim_wrapper.optimizer.lr=0.01; seed, '
                        'validation, checkpoints to keep and scaling of the learning rate are set by the comparison')
    parser.add_argument('--length', type=int, metavar='N', help='epochs or iterations of a training, whichever the config '
                        "counts, its schedule in proportion (default: the config's)")
    parser.add_argument('--resolution', type=int, metavar='N',
                        help='side of the images in pixels, for batch norm, FLOPs and the configs of classification (default: '
                        'that of the training; if unknown 224, or 32 for a supernet with the 3x3 stem)')
    parser.add_argument('--max-images', type=int, default=1024, metavar='N',
                        help='images to recalibrate batch norm on, at most (default: %(default)s)')
    parser.add_argument('--work-dir', help='folder for everything (default: work_dirs/compare/TASK_ARCH)')
    parser.add_argument('--resume', action='store_true', help='go on with the comparison in the work dir')
    parser.add_argument('--overwrite', action='store_true', help='replace the comparison in the work dir')
    return parser.parse_args()


def comparison_table(comparison: Comparison) -> Table:
    """Mean and standard deviation of each start, and by how much the searched backbone leads it, seed by seed."""
    table = Table(title=f'{comparison.task.name}: mean ± standard deviation over seeds', box=SIMPLE)
    table.add_column('start')
    table.add_column('arch', no_wrap=True)
    for header in ('G', 'M', 'runs', *comparison.metrics, 'searched leads by'):
        table.add_column(header, justify='right')
    for row in summary(comparison.table(), comparison.metrics).to_dict('records'):
        first = comparison.metrics[0]
        lead = '' if row['start'] == 'searched' else spread(row[f'{first} lead'], row[f'{first} lead std'], sign='+')
        table.add_row(row['start'], row['arch'], f"{row['flops'] / 1e9:#.3g}", f"{row['params'] / 1e6:#.3g}", str(row['runs']),
                      *(spread(row[name], row[f'{name} std']) for name in comparison.metrics), lead)
    table.caption = 'G: multiply-adds, M: parameters of the backbone'
    return table


def spread(mean: float, std: float, sign: str = '') -> str:
    """``mean ± std``; the latter is left out for a single run."""
    return f'{mean:{sign}.3f}' + ('' if math.isnan(std) else f' ± {std:.3f}')


if __name__ == '__main__':
    cli.run(main, cli.RESUME)
