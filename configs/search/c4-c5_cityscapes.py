"""For segmentation: C4 and C5, on Cityscapes.

    python tools/search.py configs/search/c4-c5_cityscapes.py CHECKPOINT
"""

_base_ = ['../data/mocov2_r_supernet.py', '../_base_/search.py']

test_dataloader = dict(dataset=dict(data_root='data/cityscapes/leftImg8bit/train'))
test_cfg = dict(tasks=['c4-c5'])
