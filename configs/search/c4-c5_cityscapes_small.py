"""For segmentation: C4 and C5, on Cityscapes, from the small supernet of mocov2_r_supernet_imagenette.py.

    python tools/search.py configs/search/c4-c5_cityscapes_small.py CHECKPOINT
"""

_base_ = ['../data/mocov2_r_supernet_imagenette.py', '../_base_/search.py']

test_dataloader = dict(num_workers=1, dataset=dict(data_root='data/cityscapes/leftImg8bit/train'))
test_cfg = dict(tasks=['c4-c5'], group_edges=[1e8, 2e8, 3e8, 4e8])
