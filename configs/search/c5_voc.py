"""For Faster R-CNN C4: C5, on VOC 2007.

    python tools/search.py configs/search/c5_voc.py CHECKPOINT
"""

_base_ = ['../data/mocov2_r_supernet.py', '../_base_/search.py']

test_dataloader = dict(dataset=dict(data_root='data/VOCdevkit/VOC2007/JPEGImages'))
test_cfg = dict(tasks=['c5'])
