"""A thin ResNet-50 distilled into a supernet of its own size on a thousand images at 112 px, for two CPU cores.

    python tools/train.py configs/data/distill_thin_imagenette.py --start data/pretrained/thin-resnet50.safetensors
"""

_base_ = './distill_start.py'

model = dict(
    backbone=dict(
        space=dict(
            _delete_=True,
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
    num_workers=2, pin_memory=False, dataset=dict(data_root='data/imagenette/train', pipeline=train_pipeline))
