"""Faster R-CNN with FPN on boxes in COCO's format, 1x: 8 GPUs x 2 images. Mask R-CNN's settings.

As MoCo fine-tunes: batch norm trained and synchronised, in the FPN too, no stage frozen, shorter sides of 640 to 800 px.
"""

_base_ = [
    '../_base_/faster_rcnn_fpn.py', 'mmdet::_base_/datasets/coco_detection.py', 'mmdet::_base_/schedules/schedule_1x.py',
    'mmdet::_base_/default_runtime.py']
# In a config on top of this one by gaia_ssl::, mmengine looks all types up in gaia_ssl, unless the first dict with a type, which
# is then the whole config, names a scope.
type, _scope_ = 'config', 'mmdet'

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='RandomChoiceResize', scales=[(1333, side) for side in range(640, 801, 32)], keep_ratio=True),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackDetInputs'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
