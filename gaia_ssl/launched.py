"""What tools/launch.py and the processes that it starts agree on."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

RESUME = 'all that was finished is kept; the same command with --resume goes on'
"""What to say of the work of a tool that has the option."""
LAUNCHER = 'GAIA_SSL_LAUNCHER'
"""Set in the environment by the launcher, which says once what its processes have to say."""


def tell_launcher(line: str) -> bool:
    """Leave ``line`` where torchrun looks for what its processes failed by; whether our launcher is there to read it."""
    file = os.environ.get('TORCHELASTIC_ERROR_FILE')
    if not file or LAUNCHER not in os.environ:
        return False
    Path(file).write_text(json.dumps(dict(message=line, timestamp=int(time.time()))), encoding='utf-8')
    return True
