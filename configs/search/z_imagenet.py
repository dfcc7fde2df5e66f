"""For image classification: the embedding z, on ImageNet.

    python tools/search.py configs/search/z_imagenet.py CHECKPOINT
"""

_base_ = ['../data/mocov2_r_supernet.py', '../_base_/search.py']

test_dataloader = dict(dataset=dict(data_root='data/imagenet/val'))
test_cfg = dict(tasks=['z'])
