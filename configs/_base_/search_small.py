"""What the quickstart's searches share: for a detector with FPN, on 64 images at 128 px."""

_base_ = './search.py'

test_dataloader = dict(
    batch_size=32,
    num_workers=1,
    dataset=dict(
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='ResizeEdge', scale=146, edge='short', backend='pillow'),
            dict(type='CenterCrop', crop_size=128),
            dict(type='PackInputs'),
        ]))
test_cfg = dict(tasks=['c2-c5'], num_images=64, resolution=128)
