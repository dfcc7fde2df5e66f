"""The one way in which the project starts mmengine's Runner."""

from __future__ import annotations

import logging
import os
from typing import Any

from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.runner import Runner

from gaia_ssl.config_file import check_config
from gaia_ssl.terminal import plain_record, worth_showing


class QuietRunner(Runner):
    """mmengine's, which tells all to its log file and what is worth it to the terminal; Python's warnings to the former."""

    def build_logger(self, *args: Any, **kwargs: Any) -> MMLogger:
        logger = super().build_logger(*args, **kwargs)
        files: list[logging.Handler] = [handler for handler in logger.handlers if isinstance(handler, logging.FileHandler)]
        for handler in logger.handlers:
            handler.addFilter(plain_record)
            if handler not in files:
                handler.addFilter(worth_showing)
        logging.captureWarnings(True)
        warnings = logging.getLogger('py.warnings')
        warnings.handlers, warnings.propagate = files or [logging.NullHandler()], False
        return logger


def build_runner(config: Config) -> Runner:
    """The Runner of ``config``, which it writes into the work dir, and which logs names as they are.

    Raises:
        UserError: If a text in the config would be run when that file is read again.
    """
    check_config(config)
    runner = QuietRunner.from_cfg(config)
    runner.logger.info(f'whole log: {os.path.join(runner.log_dir, runner.timestamp)}.log')
    return runner
