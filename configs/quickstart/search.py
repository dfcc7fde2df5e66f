"""The quickstart's search: 150 subnets in five groups, for a detector with FPN."""

_base_ = './train.py'

test_dataloader = dict(
    batch_size=32,
    num_workers=1,
    sampler=dict(type='DefaultSampler', shuffle=False),
    collate_fn=dict(type='default_collate'),
    dataset=dict(
        type='gaia_ssl.ImageFolder',
        data_root='data/demo/train2017',
        indices=64,
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='ResizeEdge', scale=146, edge='short'),
            dict(type='CenterCrop', crop_size=128),
            dict(type='PackInputs'),
        ]))
test_evaluator = []
test_cfg = dict(
    type='gaia_ssl.TaskAwareSearchLoop',
    tasks=['c2-c5'],
    archs=30,
    group_edges=[35e6, 70e6, 100e6, 130e6, 160e6, 195e6],
    resolution=128)
