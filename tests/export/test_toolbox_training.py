"""The toolboxes' own tools on an exported folder: train.py, then test.py."""

import re
import sys

import pytest

from gaia_ssl.export.comparison import METRICS
from gaia_ssl.export.tasks import TASKS
from gaia_ssl.export.toolbox import read_metrics, tool
from tests import downstream_data, tiny

SHORT = [
    'train_cfg.max_iters=3', 'train_cfg.val_begin=9', 'default_hooks.logger.interval=1', 'train_dataloader.batch_size=2',
    'train_dataloader.num_workers=0', 'train_dataloader.persistent_workers=False', 'test_dataloader.num_workers=0',
    'test_dataloader.persistent_workers=False', 'test_dataloader.dataset.pipeline.1.scale=(96,96)'
]
SMALLER = {
    'coco-mask-rcnn': ['train_dataloader.dataset.pipeline.2.scale=(96,96)'],
    'voc-faster-rcnn-c4': ['train_dataloader.dataset.datasets.0.pipeline.2.scale=(96,96)'],
    'cityscapes-fcn': ['train_dataloader.dataset.pipeline.2.scale=(96,96)', 'model.data_preprocessor.size=(64,64)',
                       'train_dataloader.dataset.pipeline.3.crop_size=(64,64)'],
}


@pytest.mark.slow
@pytest.mark.parametrize('task', downstream_data.PAPER)
def test_the_toolboxes_tools_train_and_test(task, tmp_path):
    path = downstream_data.export(tmp_path, [task], arch=tiny.SPACE.max, space=tiny.SPACE, small=True)
    config, run, test = path.with_name(f'{task}_small.py'), tmp_path / 'run', tmp_path / 'test'
    toolbox = TASKS[task].toolbox
    options = ['--cfg-options', *SHORT, *SMALLER[task]]

    result = tiny.run(sys.executable, tool(toolbox, 'train.py'), config, '--work-dir', run, *options)
    assert result.returncode == 0, result.stderr
    losses = re.findall(r'Iter\(train\)\s+\[\s*\d+/3\].*?\bloss: ([\d.]+)', result.stdout + result.stderr)
    assert len(losses) == 3 and all(0 < float(loss) < 100 for loss in losses), result.stdout[-3000:]

    result = tiny.run(sys.executable, tool(toolbox, 'test.py'), config, run / 'iter_3.pth', '--work-dir', test, *options)
    assert result.returncode == 0, result.stderr
    metrics = read_metrics(test)
    assert metrics.keys() >= set(METRICS[task]) and not metrics.keys() & {'time', 'data_time'}, metrics
