"""Rank subnets of a supernet on your images, without labels: python tools/search.py CONFIG CHECKPOINT."""

import argparse
from pathlib import Path

import pandas as pd
from mmengine.dist import is_main_process
from mmengine.runner import Runner
from rich.console import Console

from gaia_ssl import cli
from gaia_ssl.checkpoint import load_checkpoint
from gaia_ssl.files import claim_folder
from gaia_ssl.search.ranking import winners_table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='config file, e.g. configs/search/c2-c5_coco.py')
    parser.add_argument('checkpoint', help='checkpoint of the supernet')
    parser.add_argument('--resume', action='store_true', help='go on with the search in the work dir')
    cli.add_runner_arguments(parser)
    arguments = parser.parse_args()

    config = cli.load_config(arguments)
    load_checkpoint(arguments.checkpoint)  # refuse a bad file before anything is written
    claim_folder(config.work_dir, 'scores', arguments.resume, arguments.overwrite)
    config.test_cfg.checkpoint = arguments.checkpoint
    cli.join_processes(arguments.launcher)
    runner = Runner.from_cfg(config)
    runner.test()
    if is_main_process():
        folder = Path(config.work_dir)
        console = Console()
        console.print(winners_table(pd.read_csv(folder / 'ranking.csv', keep_default_na=False), config.test_cfg.tasks))
        console.print(f'ranking: {folder}/ranking.csv   winners: {folder}/best.json   picture: {folder}/pareto.png',
                      soft_wrap=True)


if __name__ == '__main__':
    cli.run(main)
