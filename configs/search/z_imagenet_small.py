"""For image classification, on images as ImageNet's, from the small supernet of mocov2_r_supernet_imagenette.py.

    python tools/search.py configs/search/z_imagenet_small.py CHECKPOINT
"""

_base_ = ['../data/mocov2_r_supernet_imagenette.py', '../_base_/search.py']

test_dataloader = dict(batch_size=128, num_workers=1, dataset=dict(data_root='data/imagenette/val'))
test_cfg = dict(tasks=['z'], group_edges=[1e8, 2e8, 3e8, 4e8])
