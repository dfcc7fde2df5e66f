"""Rank subnets of a supernet on your images, without labels.

    gaia-ssl search gaia_ssl::search/c2-c5_coco.py CHECKPOINT --flops 3e9:4e9 \\
        --data /path/to/images
    gaia-ssl search --checkpoint CHECKPOINT --task z --data /path/to/images     # a config that suits the checkpoint
"""

import argparse
import datetime
import os
from collections.abc import Sequence
from pathlib import Path

import import_guard  # noqa: F401

from mmengine.config import Config
from mmengine.dist import is_main_process

from gaia_ssl import cli
from gaia_ssl.checkpoint import load_checkpoint
from gaia_ssl.engine.auto_settings import settle_for_search
from gaia_ssl.engine.build_runner import build_runner
from gaia_ssl.engine.run_search import SEARCH_FILES, check_search_config, run_search
from gaia_ssl.engine.search_config import config_of_checkpoint
from gaia_ssl.errors import UserError
from gaia_ssl.evaluation.rank_report import write_table
from gaia_ssl.files import claim_folder
from gaia_ssl.models.supernet_meta import read_supernet_meta
from gaia_ssl.search.outcome import read_winners
from gaia_ssl.search.stability import agreements, place_archs, stability_tables, winners_among
from gaia_ssl.search.task import TASKS, doubt_of
from gaia_ssl.search.trust import warnings_of, winners_table
from gaia_ssl.terminal import PlainConsole, one_line

TIMEOUT = datetime.timedelta(days=7)
"""For processes to wait for one another: shares of a long search end at different times."""

STABILITY_FILES = ('places.csv', 'winners.csv', 'agreement.csv')


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', nargs='?', metavar='CONFIG', help=cli.CONFIG_HELP)
    parser.add_argument('checkpoint', nargs='?', metavar='CHECKPOINT', help='checkpoint of the supernet')
    parser.add_argument('--checkpoint', dest='checkpoint_alone', metavar='FILE',
                        help='checkpoint of a supernet, from which the config follows, in place of CONFIG and CHECKPOINT')
    parser.add_argument('--checkpoints', nargs='+', metavar='FILE',
                        help='in place of CHECKPOINT two or more, such as epochs or seeds: do their rankings agree?')
    parser.add_argument('--task', nargs='+', choices=list(TASKS), metavar='TASK',
                        help=f"rank for these: {', '.join(TASKS)} (default: as the config says; without one, c2-c5)")
    parser.add_argument('--archs', metavar='ARCHS',
                        help="'all', a number to draw from each group, or a file with an arch a line "
                        '(default: as the config says)')
    parser.add_argument('--num-images', type=int, metavar='N', help='score on so many images (default: as the config says)')
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument('--race', action='store_true', default=None,
                      help='drop archs as soon as they cannot win any more: the same winners (95 %%) for less')
    kind.add_argument('--full', action='store_false', dest='race', help='rank all archs (the default)')
    parser.add_argument('--indifference', type=float, metavar='X',
                        help="a group's race ends when no arch can be better than its winner by X (in the similarity's unit)")
    parser.add_argument('--flops', metavar='LOW:HIGH', help='budget in multiply-adds, e.g. 3e9:4e9')
    parser.add_argument('--params', metavar='LOW:HIGH', help='budget in parameters, e.g. :26e6')
    parser.add_argument('--latency-ms', metavar='LOW:HIGH',
                        help='budget in milliseconds for a batch as in the table, e.g. :12; needs --latency-table')
    parser.add_argument('--latency-table', metavar='FILE', help='what gaia-ssl latency wrote')
    parser.add_argument('--resume', action='store_true', help='go on with the search in the work dir')
    cli.add_data_argument(parser)
    cli.add_files_arguments(parser)
    cli.add_resolution_argument(parser)
    cli.add_runner_arguments(parser)
    arguments = parser.parse_args()

    config = choose_config(arguments)
    cli.set_images(config, 'test_dataloader', arguments, arguments.data)
    settings = config.test_cfg
    if arguments.task is not None:
        settings.tasks = list(dict.fromkeys(arguments.task))
    if arguments.archs is not None:
        settings.archs = cli.read_archs(arguments.archs)
    if arguments.num_images is not None:
        settings.num_images = arguments.num_images
    for name in ('race', 'indifference'):
        if getattr(arguments, name) is not None:
            settings[name] = getattr(arguments, name)
    if arguments.latency_table is not None:
        settings.latency_table = arguments.latency_table
    budgets = {name: getattr(arguments, name) for name in ('flops', 'params', 'latency_ms')}
    if any(budgets.values()):
        settings.budgets = {**settings.get('budgets', {}), **{name: text for name, text in budgets.items() if text}}
        if 'test_cfg.group_edges' not in (arguments.cfg_options or {}):
            settings.pop('group_edges', None)
    config.merge_from_dict({'env_cfg.dist_cfg.timeout': TIMEOUT.total_seconds()})
    if arguments.checkpoints:
        search_several(config, arguments)
    else:
        search_one(config, arguments)


def search_one(config: Config, arguments: argparse.Namespace) -> None:
    config.test_cfg.checkpoint = arguments.checkpoint
    load_checkpoint(arguments.checkpoint)  # refuse a bad file before anything is written
    settle_for_search(config, arguments.checkpoint)
    cli.join_processes(arguments.launcher, TIMEOUT)
    if os.environ.get('RANK', '0') == '0':
        claim_folder(config.work_dir, *SEARCH_FILES, resume=arguments.resume, overwrite=arguments.overwrite)
    runner = build_runner(config)
    runner.test()
    if is_main_process():
        folder = Path(config.work_dir)
        winners = read_winners(folder)
        console = PlainConsole(100)
        console.print(winners_table(winners))
        for doubt in filter(None, (doubt_of(task, config.test_cfg.get('measure')) for task in winners['task'].unique())):
            console.print(f'note: {doubt}', soft_wrap=True)
        for warning in warnings_of(winners):
            console.print(f'note: {warning}', soft_wrap=True)
        console.print(f'report: {folder}/report.html   ranking: {folder}/ranking.csv   winners: {folder}/best.json   '
                      f'picture: {folder}/pareto.png', soft_wrap=True)


def choose_config(arguments: argparse.Namespace) -> Config:
    """The config of the search: CONFIG, or with --checkpoint alone the one that suits the supernet in it."""
    if arguments.checkpoint_alone is None:
        if arguments.config is None or bool(arguments.checkpoint) == bool(arguments.checkpoints):
            raise UserError('give CONFIG and CHECKPOINT, CONFIG and --checkpoints with two or more, or --checkpoint FILE '
                            'alone, from which a config follows')
        config = cli.load_config(arguments)
        check_search_config(config, arguments.config)
        return config
    if arguments.config is not None or arguments.checkpoints:
        raise UserError('--checkpoint stands in place of CONFIG, CHECKPOINT and --checkpoints; leave those or it out')
    if arguments.data is None and arguments.list is None:
        raise UserError('--checkpoint: give --data, too, the folder of images to search on')
    arguments.checkpoint = arguments.checkpoint_alone
    tasks = list(dict.fromkeys(arguments.task or ['c2-c5']))
    path = Path(arguments.checkpoint)
    name = '_'.join(('search', *tasks, path.resolve().parent.name, path.stem))
    return cli.apply_arguments(config_of_checkpoint(arguments.checkpoint, tasks), arguments, name)


def search_several(config: Config, arguments: argparse.Namespace) -> None:
    """The same search of each checkpoint, in a folder of its own, and how far they agree."""
    checkpoints = dict(zip(folder_names(arguments.checkpoints), arguments.checkpoints, strict=True))
    if config.test_cfg.get('race'):
        raise UserError('--checkpoints compares whole rankings, and a race has none; take --full')
    spaces = {path: read_supernet_meta(load_checkpoint(path), path)['space'] for path in arguments.checkpoints}
    first, *others = spaces
    for path in others:
        if spaces[path] != spaces[first]:
            raise UserError(f'{path}: another space than that of {first}; give checkpoints of one space')
    cli.join_processes(arguments.launcher, TIMEOUT)
    folder, tasks = Path(config.work_dir), list(config.test_cfg.get('tasks', ['c2-c5']))
    if os.environ.get('RANK', '0') == '0':
        claim_folder(folder, *STABILITY_FILES, *(f'{name}/{file}' for name in checkpoints for file in SEARCH_FILES),
                     resume=arguments.resume, overwrite=arguments.overwrite)
    rankings = {name: run_search(config, path, folder / name, tasks, {}) for name, path in checkpoints.items()}
    if is_main_process():
        places = place_archs(rankings, tasks)
        winners, agreement = winners_among(places, list(rankings)), agreements(places, list(rankings))
        for name, table in zip(STABILITY_FILES, (places, winners, agreement), strict=True):
            write_table(table, folder / name)
        console = PlainConsole(120)
        for table in stability_tables(winners, agreement, list(rankings)):
            console.print(table)
        console.print(f"written to {folder}: {', '.join(STABILITY_FILES)}, and a folder each: {', '.join(checkpoints)}",
                      soft_wrap=True)


def folder_names(checkpoints: Sequence[str]) -> list[str]:
    """E.g. ``1-epoch_20``, ``2-epoch_24``."""
    if len({Path(path).resolve() for path in checkpoints}) < max(2, len(checkpoints)):
        raise UserError('--checkpoints needs two or more files, each once')
    return [f'{number}-{one_line(Path(path).stem)}' for number, path in enumerate(checkpoints, start=1)]


if __name__ == '__main__':
    cli.run(main, cli.RESUME)
