"""For segmentation: C4 and C5, on Cityscapes.

    python tools/search.py configs/search/c4-c5_cityscapes.py CHECKPOINT
"""

_base_ = '../data/mocov2_r_supernet.py'

test_dataloader = dict(
    batch_size=32,
    num_workers=8,
    sampler=dict(type='DefaultSampler', shuffle=False),
    collate_fn=dict(type='default_collate'),
    dataset=dict(
        type='gaia_ssl.ImageFolder',
        data_root='data/cityscapes/leftImg8bit/train',
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='ResizeEdge', scale=256, edge='short'),
            dict(type='CenterCrop', crop_size=224),
            dict(type='PackInputs'),
        ]))
test_evaluator = []
test_cfg = dict(type='gaia_ssl.TaskAwareSearchLoop', tasks=['c4-c5'], archs=100)
