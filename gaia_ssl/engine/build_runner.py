"""The one way in which the project starts mmengine's Runner."""

from __future__ import annotations

from mmengine.config import Config
from mmengine.runner import Runner

from gaia_ssl.config_file import check_config
from gaia_ssl.terminal import plain_record


def build_runner(config: Config) -> Runner:
    """The Runner of ``config``, which it writes into the work dir, and which logs names as they are.

    Raises:
        UserError: If a text in the config would be run when that file is read again.
    """
    check_config(config)
    runner = Runner.from_cfg(config)
    for handler in runner.logger.handlers:
        handler.addFilter(plain_record)
    return runner
