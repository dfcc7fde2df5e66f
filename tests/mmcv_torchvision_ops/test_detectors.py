"""Detectors that nothing of ours is in, trained and tested by mmdet's own tools on whatever operators mmcv has here."""

import math
import re
import sys

import pytest

from gaia_ssl.export.toolbox import tool
from tests import downstream_data, tiny

CONFIGS = {  # what each calls: nms and the focal loss; RoIAlign and deformable convolution, plain and modulated
    'retinanet/retinanet_r50_fpn_1x_coco.py': 1,
    'dcn/faster-rcnn_r50-dconv-c3-c5_fpn_1x_coco.py': 2,
    'dcnv2/faster-rcnn_r50-mdconv-group4-c3-c5_fpn_1x_coco.py': 2,
}


@pytest.mark.slow
@pytest.mark.parametrize('name', CONFIGS)
def test_mmdet_trains_and_tests(tmp_path, name):
    data = downstream_data.coco(tmp_path / 'coco', counts=(10, 2))
    config, run = tmp_path / 'own.py', tmp_path / 'run'
    pipeline = f'''
load = dict(type='LoadImageFromFile')
resize = dict(type='Resize', scale=(64, 64), keep_ratio=True)
train = [load, dict(type='LoadAnnotations', with_bbox=True), resize, dict(type='RandomFlip', prob=0.5),
         dict(type='PackDetInputs')]
test = [load, resize, dict(type='LoadAnnotations', with_bbox=True),
        dict(type='PackDetInputs', meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor'))]
data = dict(data_root={str(data)!r}, metainfo=dict(classes=('box', 'disc')))
'''
    config.write_text(f"_base_ = 'mmdet::{name}'\n{pipeline}" + '''
loader = dict(batch_size=1, num_workers=0, persistent_workers=False)
train_dataloader = dict(**loader, dataset=dict(**data, ann_file='annotations/instances_train2017.json', pipeline=train))
val_dataloader = dict(**loader, dataset=dict(**data, ann_file='annotations/instances_val2017.json', pipeline=test))
test_dataloader = val_dataloader
val_evaluator = dict(ann_file=data['data_root'] + '/annotations/instances_val2017.json')
test_evaluator = val_evaluator
model = dict(backbone=dict(base_channels=8, frozen_stages=-1, init_cfg=None), neck=dict(in_channels=[32, 64, 128, 256]))
train_cfg = dict(max_epochs=1)
default_hooks = dict(logger=dict(interval=1))
''' + {1: 'model.update(bbox_head=dict(num_classes=2), test_cfg=dict(score_thr=0))\n',
       2: 'model.update(roi_head=dict(bbox_head=dict(num_classes=2)), test_cfg=dict(rcnn=dict(score_thr=0)))\n'}[CONFIGS[name]])
    trained = tiny.run(sys.executable, tool('mmdet', 'train.py'), config, '--work-dir', run)
    assert trained.returncode == 0, trained.stderr
    losses = re.findall(r'Epoch\(train\)\s+\[1\]\[ ?\d+/10\].*? loss: ([\d.]+)', trained.stdout)
    assert len(losses) == 10 and all(math.isfinite(float(loss)) for loss in losses), trained.stdout[-3000:]
    tested = tiny.run(sys.executable, tool('mmdet', 'test.py'), config, run / 'epoch_1.pth', '--work-dir', run)
    assert tested.returncode == 0, tested.stderr
    scores = [re.search(r'coco/bbox_mAP: ([-\d.]+)', result.stdout).group(1) for result in (trained, tested)]
    assert scores[0] == scores[1]
