"""What every tool does before all else."""

import os
import subprocess
import sys

import pytest

from tests import tiny


@pytest.mark.parametrize('given, found', [
    ({}, '2000'), (dict(GOMP_SPINCOUNT='5'), '5'), (dict(OMP_WAIT_POLICY='active'), 'None')])
def test_threads_wait_briefly_unless_the_user_says_how(given, found):
    environment = {name: value for name, value in os.environ.items() if name not in ('GOMP_SPINCOUNT', 'OMP_WAIT_POLICY')}
    script = 'import os, import_guard; print(os.environ.get("GOMP_SPINCOUNT"))'
    environment |= {**given, 'PYTHONPATH': str(tiny.ROOT / 'tools')}
    result = subprocess.run([sys.executable, '-c', script], env=environment, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == found
