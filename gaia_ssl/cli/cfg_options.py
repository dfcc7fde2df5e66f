"""``--cfg-options``: what mmengine would misread or ignore is one line."""

from __future__ import annotations

import argparse
import difflib
import inspect
import os
import re
from collections.abc import Mapping
from typing import Any

from mmengine.config import Config, DictAction

from gaia_ssl.errors import UserError

_PATHS = ('data_root', 'data_prefix', 'img_path', 'ann_file', 'checkpoint', 'load_from', 'work_dir', 'latency_table')
"""Last parts of keys whose values are paths."""
_SPACE_LOST = re.compile(r"""[^\s,()\[\]'"]\s+[^\s,()\[\]'"]""")


class CfgOptions(DictAction):
    """mmengine's, with one line for a word that is no ``KEY=VALUE``, or a value that it would read as another."""

    def __call__(self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any,
                 option_string: str | None = None) -> None:
        wrong = next((word for word in values if not word.partition('=')[1] or word.startswith('=')), None)
        if wrong is not None:
            raise UserError(f"{option_string} '{wrong}': not KEY=VALUE, e.g. train_dataloader.batch_size=32")
        for word in values:
            _check_value(option_string, *word.split('=', 1))
        super().__call__(parser, namespace, values, option_string)


def _check_value(option: str | None, key: str, text: str) -> None:
    """Raise a UserError if mmengine would drop spaces in ``text``, or take a path for a list or a number."""
    where = f'{option} {key}={text}'
    try:
        read = DictAction._parse_iterable(text)
    except (AssertionError, IndexError, SyntaxError, ValueError) as error:
        raise UserError(f'{where}: not a value that mmengine reads; close what it opens, as in [1,2]') from error
    bare = text.strip('\'" ')
    is_list = (bare[:1], bare[-1:]) in (('[', ']'), ('(', ')'))
    is_path = not is_list and (key.rpartition('.')[2] in _PATHS or '/' in bare or ',' in bare and os.path.lexists(bare))
    if _SPACE_LOST.search(bare) or is_path and read not in (bare, None):
        raise UserError(f'{where}: mmengine would read {read!r}; what has an option of its own (--data, --start, --list, '
                        '--work-dir, …) is taken as it is typed, and so is what a config says')


def check_option_names(config: Config, options: Mapping[str, Any]) -> None:
    """Raise a UserError if an option begins with a name that neither ``config`` nor mmengine's Runner knows.

    mmengine would ignore it.
    """
    from mmengine.runner import Runner  # here, for most calls have no options and some tools no Runner

    known = {*config, *inspect.signature(Runner).parameters, 'sync_bn', 'auto_scale_lr'}
    for key in options:
        name = key.partition('.')[0]
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean '{near[0]}'?" if near else f'it has {", ".join(sorted(config))}'
            raise UserError(f"--cfg-options {key}: the config has no '{name}'; {hint}")
