"""Faster R-CNN with FPN on VOC 2007 and 2012, 24,000 iterations."""

_base_ = ['../_base_/faster_rcnn_fpn.py', '../_base_/voc.py']
# In a config on top of this one by gaia_ssl::, mmengine looks all types up in gaia_ssl, unless the first dict with a type, which
# is then the whole config, names a scope.
type, _scope_ = 'config', 'mmdet'

model = dict(roi_head=dict(bbox_head=dict(num_classes=20)))
