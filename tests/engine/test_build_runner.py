"""What a run tells: little on the terminal, all in its log."""

import logging
import warnings

import pytest
from mmengine.config import Config
from mmengine.logging import print_log

from gaia_ssl.engine.build_runner import build_runner
from tests import tiny


@pytest.mark.filterwarnings('default')
def test_a_quiet_start_and_a_whole_log(tmp_path, capfd):
    config = Config.fromfile(tiny.write_config(tmp_path / 'tiny.py', tiny.photos(tmp_path / 'data', 16), epochs=1))
    config.work_dir = str(tmp_path / 'run')
    logging.captureWarnings(False)  # as in a new process
    capfd.readouterr()
    runner = build_runner(config)
    runner.train()
    print_log('something of several\nlines', 'current')
    print_log('something that failed\nin several lines', 'current', level=40)
    warnings.warn('of a library', stacklevel=1)
    shown, errors = capfd.readouterr()
    [log] = (tmp_path / 'run').glob('*/*.log')
    logged = log.read_text()
    for text in ('System environment', 'Hooks will be executed', 'stem_kernel=3', 'SyncBatchNorm', 'something of several',
                 'of a library', "Only use 'alpha' for pillow backend"):
        assert text in logged and text not in shown + errors, text
    for text in (f'16 images: 16 .png in {tmp_path}/data', 'Epoch(train) [1][2/2]', 'something that failed\nin several',
                 f'whole log: {log}'):
        assert text in logged and text in shown, text
    assert shown.count('\n') < 15
