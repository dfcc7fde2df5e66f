"""Faster R-CNN C4 on one of our backbones.

Stages 1 to 3 are the backbone, stage 4 is the RoI head's shared head, with a further batch norm after it as in MoCo. Batch norm is
trained and synchronised, no stage is frozen.
"""

_base_ = 'mmdet::_base_/models/faster-rcnn_r50-caffe-c4.py'

arch = '64-64x3-128x4-256x6-512x3'
norm_cfg = dict(type='SyncBN', requires_grad=True)
model = dict(
    data_preprocessor=dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], bgr_to_rgb=True),
    backbone=dict(
        _delete_=True,
        type='gaia_ssl.SubnetResNet',
        arch=arch,
        num_stages=3,
        out_indices=(2, ),
        norm_cfg=norm_cfg),
    roi_head=dict(
        shared_head=dict(_delete_=True, type='gaia_ssl.SubnetResLayer', arch=arch, norm_cfg=norm_cfg),
        bbox_head=dict(num_classes=20)))
