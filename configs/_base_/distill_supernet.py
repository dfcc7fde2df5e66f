"""Distillation of a frozen teacher into the supernet: one view an image, which student and teacher are both shown."""

_base_ = './supernet.py'

model = dict(
    type='gaia_ssl.SupernetDistill',
    teacher_momentum=0.99,
    neck=dict(type='LinearNeck', gap_dim=2, norm_cfg=None),
    head=dict(type='gaia_ssl.DistillHead', regression=1.0, queue=0.0, relations=0.0))

view_pipeline = [
    dict(type='RandomResizedCrop', scale=224, crop_ratio_range=(0.2, 1.0), backend='pillow'),
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
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
