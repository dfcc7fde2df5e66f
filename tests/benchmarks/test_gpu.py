import json
import subprocess

import pytest

from tests import tiny


@pytest.mark.slow
def test_every_stage_ends_well_in_toy_sizes(tmp_path):
    """On the CPU, where the tests of its first stage are skipped."""
    run = subprocess.run(['bash', 'benchmarks/gpu.sh', str(tmp_path), 'small'], cwd=tiny.ROOT, text=True, capture_output=True,
                         env=tiny.environment(PYTHONPATH=str(tiny.ROOT), CUDA_VISIBLE_DEVICES=''))
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr[-3000:]
    assert 'skipped' in (tmp_path / 'tests.log').read_text()
    step = json.loads((tmp_path / 'sandwich_step_small_bfloat16_cpu.json').read_text())
    assert step['results']['images_a_second'] > 0
    search = json.loads((tmp_path / 'search_c2-c5_bfloat16_cpu.json').read_text())
    assert search['results']['seconds_whole_space_1024_images'] > 0
    assert json.loads((tmp_path / 'latency.json').read_text())
