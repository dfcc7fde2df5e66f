"""For Faster R-CNN C4: C5, on VOC 2007, from the small supernet of mocov2_r_supernet_imagenette.py.

    python tools/search.py configs/search/c5_voc_small.py CHECKPOINT
"""

_base_ = ['../data/mocov2_r_supernet_imagenette.py', '../_base_/search.py']

test_dataloader = dict(num_workers=1, dataset=dict(data_root='data/VOCdevkit/VOC2007/JPEGImages'))
test_cfg = dict(tasks=['c5'], group_edges=[1e8, 2e8, 3e8, 4e8])
