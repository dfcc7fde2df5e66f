"""Faster R-CNN with FPN on one of our backbones: batch norm trained and synchronised, in the FPN too, no stage frozen."""

_base_ = 'mmdet::_base_/models/faster-rcnn_r50_fpn.py'

norm_cfg = dict(type='SyncBN', requires_grad=True)
model = dict(
    backbone=dict(
        _delete_=True,
        type='gaia_ssl.SubnetResNet',
        arch='64-64x3-128x4-256x6-512x3',
        out_indices=(0, 1, 2, 3),
        norm_cfg=norm_cfg),
    neck=dict(norm_cfg=norm_cfg))
