"""Runs a search loop inside this process."""

import pandas as pd
from mmengine.config import Config
from mmengine.runner import Runner

from gaia_ssl.engine.run_search import SEARCH_FILES
from gaia_ssl.files import claim_folder


def runner(paths, work_dir=None, **test_cfg) -> Runner:
    config = Config.fromfile(paths[0])
    config.work_dir = str(work_dir or paths[0].parent / 'run')
    config.test_cfg.update({'checkpoint': str(paths[1]), **test_cfg})
    return Runner.from_cfg(config)


def start_over(paths) -> None:
    """What tools/search.py --overwrite does before the loop."""
    claim_folder(paths[0].parent / 'run', *SEARCH_FILES, overwrite=True)


def table(paths, folder=None) -> pd.DataFrame:
    return pd.read_csv((folder or paths[0].parent / 'run') / 'ranking.csv', keep_default_na=False)
