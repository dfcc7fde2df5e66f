"""For image classification, on ImageNet: how images relate to one another in batches of 128.

    python tools/search.py configs/search/z_imagenet.py CHECKPOINT
"""

_base_ = ['../data/mocov2_r_supernet.py', '../_base_/search.py']

test_dataloader = dict(batch_size=128, dataset=dict(data_root='data/imagenet/val'))
test_cfg = dict(tasks=['z'])
