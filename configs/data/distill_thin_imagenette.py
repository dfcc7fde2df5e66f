"""A thin ResNet-50 distilled into a supernet of its own size on a thousand images at 112 px, for two CPU cores.

The largest arch is the teacher's own, from which the supernet starts:

    python tools/train.py configs/data/distill_thin_imagenette.py --start data/pretrained/thin-resnet50.safetensors
"""

_base_ = '../_base_/distill_supernet.py'

epochs = 24
model = dict(
    feat_dim=1024,
    teacher=dict(type='gaia_ssl.PretrainedResNet', checkpoint='data/pretrained/thin-resnet50.safetensors'),
    backbone=dict(
        space=dict(
            stem=[32, 48, 64],
            widths=[[16, 24, 32], [32, 48, 64], [64, 96, 128], [128, 192, 256]],
            depths=[[1, 2, 3], [2, 3, 4], [2, 4, 6], [1, 2, 3]])))
view_pipeline = [
    dict(type='RandomResizedCrop', scale=112, crop_ratio_range=(0.2, 1.0), backend='pillow'),
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
train_dataloader = dict(
    batch_size=50, num_workers=2, pin_memory=False,
    dataset=dict(data_root='data/imagenette/train', pipeline=train_pipeline))
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='AdamW', lr=2e-3, weight_decay=1e-4))
param_scheduler = [dict(type='CosineAnnealingLR', T_max=epochs, by_epoch=True, begin=0, end=epochs, convert_to_iter_based=True)]
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=epochs)
default_hooks = dict(logger=dict(interval=10))
log_processor = dict(window_size=20)
