"""For image classification: the embedding z, on ImageNet.

    python tools/search.py configs/search/z_imagenet.py CHECKPOINT
"""

_base_ = '../data/mocov2_r_supernet.py'

test_dataloader = dict(
    batch_size=32,
    num_workers=8,
    sampler=dict(type='DefaultSampler', shuffle=False),
    collate_fn=dict(type='default_collate'),
    dataset=dict(
        type='gaia_ssl.ImageFolder',
        data_root='data/imagenet/val',
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='ResizeEdge', scale=256, edge='short'),
            dict(type='CenterCrop', crop_size=224),
            dict(type='PackInputs'),
        ]))
test_evaluator = []
test_cfg = dict(type='gaia_ssl.TaskAwareSearchLoop', tasks=['z'], archs=100)
