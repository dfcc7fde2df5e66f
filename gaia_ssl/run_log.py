"""What mmengine's Runner logged into a work dir, over all the times that it was started there."""

from __future__ import annotations

import json
import math
import os
import pathlib
from collections.abc import Iterator
from typing import Any


def read_run_log(folder: str | os.PathLike) -> list[dict[str, Any]]:
    """The lines of every ``scalars.json`` under ``folder``, earliest first; none if there is no such file.

    Of the training steps that a resumed run did twice, the latter count. A last line that was cut off is left out.
    """
    lines: list[dict[str, Any]] = []
    for log in sorted(pathlib.Path(folder).glob('*/vis_data/scalars.json')):
        new = list(_parsed(log.read_text(encoding='utf-8')))
        first = min((line['step'] for line in new if 'loss' in line), default=math.inf)
        lines = [line for line in lines if 'loss' not in line or line['step'] < first] + new
    return lines


def _parsed(text: str) -> Iterator[dict[str, Any]]:
    for line in text.splitlines():
        try:
            yield json.loads(line)
        except ValueError:  # the process died while it wrote
            return
