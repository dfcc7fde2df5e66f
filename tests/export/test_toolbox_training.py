"""The toolboxes' own tools on an exported folder: train.py, then test.py."""

import json
import re
import sys
from pathlib import Path

import pytest
from mmengine.utils import get_installed_path

from gaia_ssl.export.tasks import TASKS
from tests import downstream_data, tiny

METRICS = {'coco-mask-rcnn': 'coco/segm_mAP', 'voc-faster-rcnn-c4': 'pascal_voc/mAP', 'cityscapes-fcn': 'mIoU'}
SHORT = [
    'train_cfg.max_iters=3', 'train_cfg.val_interval=9', 'default_hooks.logger.interval=1', 'train_dataloader.batch_size=2',
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
@pytest.mark.parametrize('task', list(downstream_data.MAKERS))
def test_the_toolboxes_tools_train_and_test(task, tmp_path):
    path = downstream_data.export(tmp_path, [task], arch=tiny.SPACE.max, space=tiny.SPACE, small=True)
    config, run, test = path.with_name(f'{task}_small.py'), tmp_path / 'run', tmp_path / 'test'
    tools = Path(get_installed_path(TASKS[task].toolbox)) / '.mim' / 'tools'
    options = ['--cfg-options', *SHORT, *SMALLER[task]]

    result = tiny.run(sys.executable, tools / 'train.py', config, '--work-dir', run, *options)
    assert result.returncode == 0, result.stderr
    losses = re.findall(r'Iter\(train\)\s+\[\s*\d+/3\].*?\bloss: ([\d.]+)', result.stdout + result.stderr)
    assert len(losses) == 3 and all(0 < float(loss) < 100 for loss in losses), result.stdout[-3000:]

    result = tiny.run(sys.executable, tools / 'test.py', config, run / 'iter_3.pth', '--work-dir', test, *options)
    assert result.returncode == 0, result.stderr
    metrics = json.loads(next(test.glob('*/*.json')).read_text())
    assert METRICS[task] in metrics, metrics
