"""For detectors with FPN: C2 to C5, on COCO.

    python tools/search.py configs/search/c2-c5_coco.py CHECKPOINT
"""

_base_ = ['../data/mocov2_r_supernet.py', '../_base_/search.py']

test_dataloader = dict(dataset=dict(data_root='data/coco/train2017'))
test_cfg = dict(tasks=['c2-c5'])
