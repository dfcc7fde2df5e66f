"""BYOL on CIFAR-10 as an image folder (32 px): 3x3 stem, 5,184 archs, one GPU.

    python tools/train.py configs/data/byol_r_supernet_cifar.py
"""

_base_ = '../_base_/byol_supernet.py'

epochs = 200
model = dict(
    backbone=dict(
        stem_kernel=3,
        space=dict(
            stem=[16, 24, 32],
            widths=[[16, 24, 32], [32, 48, 64], [64, 96], [128, 192]],
            depths=[[1, 2], [1, 2], [1, 2, 3, 4], [1, 2, 3]])),
    neck=dict(hid_channels=1024),
    head=dict(predictor=dict(hid_channels=1024)))
view_pipeline = [
    dict(type='RandomResizedCrop', scale=32, crop_ratio_range=(0.2, 1.0), backend='pillow'),
    dict(
        type='RandomApply',
        transforms=[dict(type='ColorJitter', brightness=0.4, contrast=0.4, saturation=0.4, hue=0.1)],
        prob=0.8),
    dict(type='RandomGrayscale', prob=0.2, keep_channels=True, channel_weights=(0.114, 0.587, 0.2989)),
    dict(type='RandomFlip', prob=0.5),
]
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='MultiView', num_views=[1, 1], transforms=[view_pipeline, [*view_pipeline, dict(type='Solarize', thr=128, prob=0.2)]]),
    dict(type='PackInputs'),
]
train_dataloader = dict(batch_size=256, dataset=dict(data_root='data/cifar10/train', pipeline=train_pipeline))
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.02, momentum=0.9, weight_decay=5e-4))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=True, begin=0, end=5, convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', T_max=epochs - 5, by_epoch=True, begin=5, end=epochs, convert_to_iter_based=True),
]
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=epochs)
default_hooks = dict(logger=dict(interval=20), checkpoint=dict(interval=10))
auto_scale_lr = dict(base_batch_size=256, enable=False)
