"""mmdet's own training tool on an exported backbone."""

import re
import sys
from pathlib import Path

import mmdet
import pytest

from gaia_ssl.datasets.demo import DEMO_CLASSES, generate_demo_data
from gaia_ssl.export import export_subnet
from gaia_ssl.export.hand_over import MASK_RCNN
from tests import tiny


@pytest.mark.slow
def test_mmdet_trains_the_export(tmp_path):
    data = generate_demo_data(tmp_path / 'demo', num_train=6, num_val=2, size=128)
    checkpoint = tiny.save_supernet(tmp_path / 'supernet.pth', stem_kernel=7)
    path = export_subnet(str(checkpoint), tiny.SPACE.max, str(data / 'train2017'), tmp_path / 'out', resolution=64,
                         batch_size=4, report=lambda line: None)
    options = [
        f'{loader}.{option}' for loader in ('train_dataloader', 'val_dataloader', 'test_dataloader')
        for option in (f'dataset.data_root={data}/', f'dataset.metainfo.classes={",".join(DEMO_CLASSES)}',
                       'num_workers=0', 'persistent_workers=False')
    ]
    options += [
        'train_dataloader.batch_size=2', 'train_dataloader.dataset.pipeline.2.scale=(128,128)',
        f'model.roi_head.bbox_head.num_classes={len(DEMO_CLASSES)}',
        f'model.roi_head.mask_head.num_classes={len(DEMO_CLASSES)}', 'train_cfg.max_epochs=1',
        'train_cfg.val_interval=9', 'default_hooks.logger.interval=1', 'default_hooks.checkpoint.interval=9',
        f'val_evaluator.ann_file={data}/annotations/instances_val2017.json',
        f'test_evaluator.ann_file={data}/annotations/instances_val2017.json'
    ]
    tool = Path(mmdet.__file__).parent / '.mim' / 'tools' / 'train.py'
    result = tiny.run(sys.executable, tool, path.with_name(MASK_RCNN), '--work-dir', tmp_path / 'run',
                      '--cfg-options', *options)
    assert result.returncode == 0, result.stderr
    losses = re.findall(r'Epoch\(train\)\s+\[1\]\[\d/3\].*?\bloss: ([\d.]+)', result.stdout)
    assert len(losses) == 3 and all(0 < float(loss) < 100 for loss in losses), result.stdout[-3000:]
