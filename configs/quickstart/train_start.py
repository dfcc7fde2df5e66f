"""The quickstart's supernet where there is a pretrained ResNet: that distilled into the space inside it, at 128 px."""

_base_ = '../data/distill_start.py'

view_pipeline = [
    dict(type='RandomResizedCrop', scale=128, crop_ratio_range=(0.2, 1.0), backend='pillow'),
    dict(
        type='RandomApply',
        transforms=[dict(type='ColorJitter', brightness=0.4, contrast=0.4, saturation=0.4, hue=0.1)],
        prob=0.8),
    dict(type='RandomFlip', prob=0.5),
]
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='MultiView', num_views=1, transforms=[view_pipeline]),
    dict(type='PackInputs'),
]
train_dataloader = dict(num_workers=2, pin_memory=False, dataset=dict(pipeline=train_pipeline))
custom_hooks = [
    dict(type='gaia_ssl.SandwichSamplerHook', sandwich='random+random+max'),
    dict(type='gaia_ssl.UnreadableImagesHook', max_unreadable=0.01),
    dict(type='gaia_ssl.SubnetEvaluationHook', train='data/images/train', interval=1000, num_images=256, resolution=128),
]
