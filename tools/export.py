"""Hand over one subnet, with configs of the tasks it is for.

    gaia-ssl export CHECKPOINT ARCH OUT --for coco-mask-rcnn --data data/coco
    gaia-ssl export CHECKPOINT OUT --from best.json --group 3-4 --for cityscapes-fcn --data data/cityscapes
    gaia-ssl export CHECKPOINT ARCH OUT --into my_config.py --data DIR   # into any config of mmdet, mmseg, mmpretrain
    gaia-ssl export CHECKPOINT ARCH OUT --data DIR          # the backbone alone, DIR any folder of images
"""

import argparse
import itertools

import import_guard  # noqa: F401

from gaia_ssl import Arch, cli
from gaia_ssl.errors import UserError
from gaia_ssl.export import TASKS, export_subnet, parse_formats, prepare_task
from gaia_ssl.export.formats import FORMATS
from gaia_ssl.export.hand_over import check_out
from gaia_ssl.export.into_config import PREFIX, IntoConfig
from gaia_ssl.export.run_summary import summary_table
from gaia_ssl.export.tasks import ALL, DENSE, task_names
from gaia_ssl.export.winner import Winner, read_winner
from gaia_ssl.search import TASKS as FEATURES
from gaia_ssl.terminal import PlainConsole


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('checkpoint', metavar='CHECKPOINT', help='checkpoint of the supernet')
    parser.add_argument('arch', nargs='?', metavar='ARCH',
                        help='the subnet, e.g. 32-48x3-96x2-192x17-512x3; left out with --from')
    parser.add_argument('out', metavar='OUT', help='folder to write to')
    parser.add_argument('--for', action='append', default=[], dest='tasks', metavar='TASK',
                        help=f'write the config of a downstream task, may be given several times: {", ".join(TASKS)}, or {ALL} '
                        f'({", ".join(DENSE)})')
    parser.add_argument('--into', action='append', default=[], metavar='CONFIG',
                        help='write this config of mmdet, mmseg or mmpretrain with the backbone in place of its own, may be '
                        'given several times: a file, or e.g. mmdet::retinanet/retinanet_r50_fpn_1x_coco.py')
    parser.add_argument('--data', metavar='DIR',
                        help='the data of the tasks, or a folder that holds each under its usual name (coco/, VOCdevkit/, '
                        'cityscapes/); without --for, a folder of images to recalibrate batch norm on')
    parser.add_argument('--small', action='store_true', help='the variants of the tasks for little data and time')
    parser.add_argument('--images', metavar='DIR',
                        help='folder of images to recalibrate batch norm on (default: the training images of the first task)')
    parser.add_argument('--from', dest='best', metavar='BEST_JSON', help='take the winner of a search instead of ARCH')
    parser.add_argument('--group', help='whose winner, e.g. 3-4; may be left out where there is but one group')
    parser.add_argument('--features', choices=list(FEATURES), help='whose winner (default: of the features that the tasks use)')
    parser.add_argument('--resolution', type=int, metavar='N',
                        help='side of the images in pixels, for batch norm and the configs of classification (default: that of '
                        'the training; if unknown 224, or 32 for a supernet with the 3x3 stem)')
    cli.add_files_arguments(parser)
    parser.add_argument('--batch-size', type=int, default=64, metavar='N', help='images a batch (default: %(default)s)')
    parser.add_argument('--max-images', type=int, default=1024, metavar='N',
                        help='images to use at most (default: %(default)s)')
    parser.add_argument('--max-unreadable', type=float, default=0.01, metavar='SHARE',
                        help='share of unreadable images to accept (default: %(default)s)')
    parser.add_argument('--format', default='safetensors', metavar='FORMATS',
                        help=f'further forms of the backbone, separated by commas: {", ".join(FORMATS)} (default: %(default)s)')
    parser.add_argument('--overwrite', action='store_true', help='replace an earlier export in OUT')
    arguments = parser.parse_intermixed_args()

    names, formats = task_names(arguments.tasks), parse_formats(arguments.format)
    if (arguments.arch is None) == (arguments.best is None):
        raise UserError('give ARCH, or a search with --from, and not both: gaia-ssl export CHECKPOINT ARCH OUT')
    if arguments.data is None and (names or arguments.images is None):
        what = 'the data of the tasks' if names else 'a folder of images to recalibrate batch norm on'
        raise UserError(f'give --data: {what}')
    winner = choose(arguments, names)
    arch = winner.arch if winner else Arch.parse(arguments.arch)
    tasks = [prepare_task(name, arguments.data, arguments.small) for name in names]
    into = [IntoConfig(source, cli.read_config(source)) for source in dict.fromkeys(arguments.into)]
    if twice := [one for one, other in itertools.combinations(into, 2) if one.name == other.name]:
        raise UserError(f'--into: two configs are called {twice[0].name.removeprefix(PREFIX)}; export each into its own folder')

    check_out(arguments.out, arguments.overwrite, arguments.checkpoint)
    own = tasks[0].data if tasks and arguments.images is None else None
    path = export_subnet(
        arguments.checkpoint, arch, own.images if own else arguments.images or arguments.data, arguments.out,
        arguments.resolution, arguments.batch_size, arguments.max_images, arguments.max_unreadable, tasks, winner,
        names=own.names if own else None, choice=cli.file_choice(arguments), formats=formats, into=into)
    console = PlainConsole()
    if tasks:
        console.print(summary_table([(task.name, len(task.data.classes), task.run) for task in tasks]))
    for each in (*tasks, *into):
        console.print(f'config:   {path.with_name(each.name)}.py', soft_wrap=True)
    console.print(f'backbone: {path}', soft_wrap=True)
    further = 'how to train and test' if tasks or into else 'where it is from; --for TASK writes the config of a task'
    console.print(f'README.md beside it says what it is and {further}', soft_wrap=True)


def choose(arguments: argparse.Namespace, names: list[str]) -> Winner | None:
    """The search's winner that the flags ask for; None without ``--from``."""
    if arguments.best is None:
        if arguments.group or arguments.features:
            raise UserError('--group and --features choose a winner of --from BEST_JSON; give that, too')
        return None
    features = [arguments.features] if arguments.features else list(dict.fromkeys(TASKS[name].features for name in names))
    return read_winner(arguments.best, arguments.checkpoint, features, arguments.group)


if __name__ == '__main__':
    cli.run(main)
