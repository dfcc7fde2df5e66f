"""For detectors with FPN, on COCO, from the small supernet of mocov2_r_supernet_imagenette.py.

    python tools/search.py configs/search/c2-c5_coco_small.py CHECKPOINT
"""

_base_ = ['../data/mocov2_r_supernet_imagenette.py', '../_base_/search.py']

test_dataloader = dict(num_workers=1, dataset=dict(data_root='data/coco/train2017'))
test_cfg = dict(tasks=['c2-c5'], group_edges=[1e8, 2e8, 3e8, 4e8])
