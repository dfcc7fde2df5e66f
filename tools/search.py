"""Rank subnets of a supernet on your images, without labels.

    gaia-ssl search gaia_ssl::search/c2-c5_coco.py CHECKPOINT --flops 3e9:4e9 \\
        --data /path/to/images
    gaia-ssl search --checkpoint CHECKPOINT --task z --data /path/to/images     # a config that suits the checkpoint
"""

import argparse
import datetime
import os
from pathlib import Path

import import_guard  # noqa: F401

from mmengine.config import Config
from mmengine.dist import is_main_process

from gaia_ssl import cli
from gaia_ssl.checkpoint import load_checkpoint
from gaia_ssl.engine.auto_settings import settle_for_search
from gaia_ssl.engine.build_runner import build_runner
from gaia_ssl.engine.resolution import set_config_resolution
from gaia_ssl.engine.run_search import SEARCH_FILES, check_search_config
from gaia_ssl.engine.search_config import config_of_checkpoint
from gaia_ssl.errors import UserError
from gaia_ssl.files import claim_folder
from gaia_ssl.search.outcome import read_winners
from gaia_ssl.search.task import TASKS
from gaia_ssl.search.trust import warnings_of, winners_table
from gaia_ssl.terminal import PlainConsole

TIMEOUT = datetime.timedelta(days=7)
"""For processes to wait for one another: shares of a long search end at different times."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', nargs='?', metavar='CONFIG', help=cli.CONFIG_HELP)
    parser.add_argument('checkpoint', nargs='?', metavar='CHECKPOINT', help='checkpoint of the supernet')
    parser.add_argument('--checkpoint', dest='checkpoint_alone', metavar='FILE',
                        help='checkpoint of a supernet, from which the config follows, in place of CONFIG and CHECKPOINT')
    parser.add_argument('--task', nargs='+', choices=list(TASKS), metavar='TASK',
                        help=f"rank for these: {', '.join(TASKS)} (default: as the config says; without one, c2-c5)")
    parser.add_argument('--archs', metavar='ARCHS',
                        help="'all', a number to draw from each group, or a file with an arch a line "
                        '(default: as the config says)')
    parser.add_argument('--num-images', type=int, metavar='N', help='score on so many images (default: as the config says)')
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
    cli.set_data(config, 'test_dataloader', arguments.data)
    cli.set_files(config, 'test_dataloader', cli.file_choice(arguments))
    set_config_resolution(config, arguments.resolution, 'test_dataloader',
                          keep_groups='test_cfg.group_edges' in (arguments.cfg_options or {}))
    settings = config.test_cfg
    if arguments.task is not None:
        settings.tasks = list(dict.fromkeys(arguments.task))
    settings.checkpoint = arguments.checkpoint
    if arguments.archs is not None:
        settings.archs = cli.read_archs(arguments.archs)
    if arguments.num_images is not None:
        settings.num_images = arguments.num_images
    if arguments.latency_table is not None:
        settings.latency_table = arguments.latency_table
    budgets = {name: getattr(arguments, name) for name in ('flops', 'params', 'latency_ms')}
    if any(budgets.values()):
        settings.budgets = {**settings.get('budgets', {}), **{name: text for name, text in budgets.items() if text}}
        if 'test_cfg.group_edges' not in (arguments.cfg_options or {}):
            settings.pop('group_edges', None)
    load_checkpoint(arguments.checkpoint)  # refuse a bad file before anything is written
    settle_for_search(config, arguments.checkpoint)
    cli.join_processes(arguments.launcher, TIMEOUT)
    config.merge_from_dict({'env_cfg.dist_cfg.timeout': TIMEOUT.total_seconds()})
    if os.environ.get('RANK', '0') == '0':
        claim_folder(config.work_dir, *SEARCH_FILES, resume=arguments.resume, overwrite=arguments.overwrite)
    runner = build_runner(config)
    runner.test()
    if is_main_process():
        folder = Path(config.work_dir)
        winners = read_winners(folder)
        console = PlainConsole(100)
        console.print(winners_table(winners))
        for warning in warnings_of(winners):
            console.print(f'note: {warning}', soft_wrap=True)
        console.print(f'report: {folder}/report.html   ranking: {folder}/ranking.csv   winners: {folder}/best.json   '
                      f'picture: {folder}/pareto.png', soft_wrap=True)


def choose_config(arguments: argparse.Namespace) -> Config:
    """The config of the search: CONFIG, or with --checkpoint alone the one that suits the supernet in it."""
    if arguments.checkpoint_alone is None:
        if arguments.checkpoint is None:
            raise UserError('give CONFIG and CHECKPOINT, or --checkpoint FILE alone, from which a config follows')
        config = cli.load_config(arguments)
        check_search_config(config, arguments.config)
        return config
    if arguments.config is not None:
        raise UserError('--checkpoint stands in place of CONFIG and CHECKPOINT; leave either out')
    if arguments.data is None and arguments.list is None:
        raise UserError('--checkpoint: give --data, too, the folder of images to search on')
    arguments.checkpoint = arguments.checkpoint_alone
    tasks = list(dict.fromkeys(arguments.task or ['c2-c5']))
    path = Path(arguments.checkpoint)
    name = '_'.join(('search', *tasks, path.resolve().parent.name, path.stem))
    return cli.apply_arguments(config_of_checkpoint(arguments.checkpoint, tasks), arguments, name)


if __name__ == '__main__':
    cli.run(main, cli.RESUME)
