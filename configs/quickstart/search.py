"""The quickstart's search: all 5,184 subnets, in five groups, for a detector with FPN."""

_base_ = ['./train.py', '../_base_/search.py']

test_dataloader = dict(
    num_workers=1,
    dataset=dict(
        data_root='data/demo/train2017',
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='ResizeEdge', scale=146, edge='short'),
            dict(type='CenterCrop', crop_size=128),
            dict(type='PackInputs'),
        ]))
test_cfg = dict(
    tasks=['c2-c5'], num_images=64, group_edges=[35e6, 70e6, 100e6, 130e6, 160e6, 195e6], resolution=128)
