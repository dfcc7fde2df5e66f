"""BYOL on the supernet of the paper's Table 1, with BYOL's two augmentations. Batch norms are synchronised."""

_base_ = './supernet.py'

norm_cfg = dict(type='gaia_ssl.DynamicSyncBatchNorm')
mlp = dict(
    type='NonLinearNeck', hid_channels=4096, out_channels=256, num_layers=2, with_bias=True, with_last_bn=False,
    norm_cfg=norm_cfg)
model = dict(
    type='gaia_ssl.SupernetBYOL',
    teacher_momentum=0.99,
    final_teacher_momentum=1.,
    backbone=dict(norm_cfg=dict(type='SyncBN')),
    neck=dict(**mlp, with_avg_pool=True),
    head=dict(
        type='LatentPredictHead',
        loss=dict(type='CosineSimilarityLoss', shift_factor=2., scale_factor=2.),
        predictor=dict(**mlp, in_channels=256, with_avg_pool=False)))

crop = dict(type='RandomResizedCrop', scale=224, interpolation='bicubic', backend='pillow')
colours = [
    dict(type='RandomFlip', prob=0.5),
    dict(
        type='RandomApply',
        transforms=[dict(type='ColorJitter', brightness=0.4, contrast=0.4, saturation=0.2, hue=0.1)],
        prob=0.8),
    dict(type='RandomGrayscale', prob=0.2, keep_channels=True, channel_weights=(0.114, 0.587, 0.2989)),
]
blur = dict(type='GaussianBlur', magnitude_range=(0.1, 2.0), magnitude_std='inf')
view_pipelines = [
    [crop, *colours, dict(**blur, prob=1.)],
    [crop, *colours, dict(**blur, prob=0.1), dict(type='Solarize', thr=128, prob=0.2)],
]
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='MultiView', num_views=[1, 1], transforms=view_pipelines),
    dict(type='PackInputs'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
