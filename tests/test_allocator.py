"""Freed memory is used again."""

import platform
import subprocess
import sys

import pytest

SCRIPT = """
import resource, torch
from gaia_ssl.allocator import keep_freed_memory
{call}
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    torch.ones(64, 2**18)  # 64 MB
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != 'glibc', reason='glibc only')
def test_a_freed_block_is_not_fetched_again():
    faults = [
        int(subprocess.run([sys.executable, '-c', SCRIPT.format(call=call)], capture_output=True, check=True).stdout)
        for call in ('', 'keep_freed_memory()')]
    assert faults[1] < faults[0] / 2
