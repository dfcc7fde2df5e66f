"""A search as one step of a tool."""

from __future__ import annotations

import copy
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from mmengine.config import Config

from gaia_ssl.engine.auto_settings import settle_for_search
from gaia_ssl.engine.build_runner import build_runner
from gaia_ssl.engine.loops.task_aware_search_loop import SCORES
from gaia_ssl.errors import UserError
from gaia_ssl.search import journal
from gaia_ssl.search.outcome import FILES
from gaia_ssl.search.ranking import read_ranking
from gaia_ssl.space import ArchSpace, FlopsGroups

SEARCH_FILES = (*FILES, *(f'{SCORES}/{name}' for name in journal.FILES))
"""What a search leaves in its folder."""


def check_search_config(config: Config, path: str) -> None:
    """Raise a UserError unless ``config``, of the file ``path``, runs a search."""
    if 'TaskAwareSearchLoop' not in str(config.get('test_cfg', {}).get('type')):
        raise UserError(f'{path}: not a search config (test_cfg has no TaskAwareSearchLoop); see configs/search')


def space_groups(config: Config, space: ArchSpace, stem_kernel: int, in_channels: int) -> FlopsGroups:
    """The config's budget groups, or those that a search of the whole space would have by default."""
    edges, resolution = config.test_cfg.get('group_edges'), config.test_cfg.get('resolution', 224)
    return FlopsGroups(tuple(edges)) if edges else FlopsGroups.of(space.costs(resolution, stem_kernel, in_channels)['flops'])


def run_search(config: Config, checkpoint: str, folder: str | os.PathLike, tasks: Sequence[str],
               settings: Mapping[str, Any], images: str | None = None) -> pd.DataFrame:
    """Search in ``folder``, or go on with the same search there; returns its ranking.

    Args:
        config: Of a search; it stays as it is.
        checkpoint: Of the supernet.
        folder: Where the ranking and all else go.
        tasks: To rank for.
        settings: Arguments of :class:`~gaia_ssl.engine.TaskAwareSearchLoop` in place of the config's.
        images: Folder of images in place of the config's.
    """
    config, folder = copy.deepcopy(config), pathlib.Path(folder)
    config.work_dir = str(folder)
    config.experiment_name = f"{config.get('experiment_name', 'search')}_{'_'.join(folder.parts[-2:])}"  # of the log, global
    config.test_cfg.update(checkpoint=checkpoint, tasks=list(tasks), **settings)
    if images is not None:
        config.test_dataloader.dataset.update(data_root=images, data_prefix='')
    settle_for_search(config, checkpoint)
    build_runner(config).test()
    return read_ranking(folder / 'ranking.csv', tasks)
