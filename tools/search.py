"""Rank subnets of a supernet on your images, without labels.

    gaia-ssl search gaia_ssl::search/c2-c5_coco.py CHECKPOINT --flops 3e9:4e9 \\
        --data /path/to/images
"""

import argparse
import datetime
import os
from pathlib import Path

import import_guard  # noqa: F401

from mmengine.dist import is_main_process

from gaia_ssl import cli
from gaia_ssl.checkpoint import load_checkpoint
from gaia_ssl.engine.auto_settings import settle_for_search
from gaia_ssl.engine.build_runner import build_runner
from gaia_ssl.engine.run_search import SEARCH_FILES, check_search_config
from gaia_ssl.files import claim_folder
from gaia_ssl.search.outcome import read_winners
from gaia_ssl.search.trust import warnings_of, winners_table
from gaia_ssl.terminal import PlainConsole

TIMEOUT = datetime.timedelta(days=7)
"""For processes to wait for one another: shares of a long search end at different times."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', metavar='CONFIG', help=cli.CONFIG_HELP)
    parser.add_argument('checkpoint', metavar='CHECKPOINT', help='checkpoint of the supernet')
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
    cli.add_runner_arguments(parser)
    arguments = parser.parse_args()

    config = cli.load_config(arguments)
    check_search_config(config, arguments.config)
    cli.set_data(config, 'test_dataloader', arguments.data)
    settings = config.test_cfg
    settings.checkpoint = arguments.checkpoint
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


if __name__ == '__main__':
    cli.run(main, cli.RESUME)
