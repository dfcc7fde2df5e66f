"""What the search configs share: all archs on 1,024 images at 224 px."""

test_dataloader = dict(
    batch_size=64,
    num_workers=4,
    sampler=dict(type='DefaultSampler', shuffle=False),
    collate_fn=dict(type='default_collate'),
    dataset=dict(
        type='gaia_ssl.ImageFolder',
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='ResizeEdge', scale=256, edge='short', backend='pillow'),
            dict(type='CenterCrop', crop_size=224),
            dict(type='PackInputs'),
        ]))
test_evaluator = []
test_cfg = dict(type='gaia_ssl.TaskAwareSearchLoop', num_images=1024)
