"""The quickstart's search where there is a pretrained ResNet: all subnets inside it, for a detector with FPN."""

_base_ = ['./train_start.py', '../_base_/search.py']

test_dataloader = dict(
    num_workers=1,
    dataset=dict(
        data_root='data/images/train',
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='ResizeEdge', scale=146, edge='short'),
            dict(type='CenterCrop', crop_size=128),
            dict(type='PackInputs'),
        ]))
test_cfg = dict(tasks=['c2-c5'], num_images=64, resolution=128)
