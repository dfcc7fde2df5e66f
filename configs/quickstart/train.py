"""The quickstart's supernet: 128 px, 5,184 archs of 0.04 to 0.19 G, minutes on two CPU cores."""

_base_ = '../_base_/mocov2_supernet.py'

iterations = 300
model = dict(
    queue_len=64,
    teacher_momentum=0.99,
    backbone=dict(
        space=dict(
            stem=[16, 24, 32],
            widths=[[16, 24, 32], [32, 48, 64], [64, 96], [128, 192]],
            depths=[[1, 2], [1, 2], [1, 2, 3, 4], [1, 2, 3]])),
    neck=dict(hid_channels=512),
    head=dict(temperature=0.1))
view_pipeline = [
    dict(type='RandomResizedCrop', scale=128, crop_ratio_range=(0.2, 1.0), backend='pillow'),
    dict(
        type='RandomApply',
        transforms=[dict(type='ColorJitter', brightness=0.4, contrast=0.4, saturation=0.4, hue=0.1)],
        prob=0.8),
    dict(type='RandomGrayscale', prob=0.2, keep_channels=True, channel_weights=(0.114, 0.587, 0.2989)),
    dict(type='RandomFlip', prob=0.5),
]
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='MultiView', num_views=2, transforms=[view_pipeline]),
    dict(type='PackInputs'),
]
train_dataloader = dict(
    batch_size=32, num_workers=2, pin_memory=False, dataset=dict(data_root='data/demo/train2017', pipeline=train_pipeline))
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='AdamW', lr=3e-4, weight_decay=1e-4))
# Steady to the end: while a rate falls, keys of the queue are ever harder to tell from new ones by their age, and the loss rises.
param_scheduler = [dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=25)]
auto_scale_lr = dict(base_batch_size=32, enable=False)
train_cfg = dict(type='IterBasedTrainLoop', max_iters=iterations)
default_hooks = dict(logger=dict(interval=50), checkpoint=dict(interval=50, by_epoch=False))
log_processor = dict(window_size=50, by_epoch=False)
