"""ReSSL on the supernet of the paper's Table 1: the student sees the base's view, the teacher a weak one."""

_base_ = './supernet.py'

model = dict(
    type='gaia_ssl.SupernetReSSL',
    queue_len=131072,
    feat_dim=512,
    teacher_momentum=0.999,
    neck=dict(type='MoCoV2Neck', hid_channels=4096, out_channels=512, with_avg_pool=True),
    head=dict(type='gaia_ssl.RelationHead', student_temperature=0.1, teacher_temperature=0.04))

weak_view_pipeline = [
    dict(type='RandomResizedCrop', scale=224, crop_ratio_range=(0.2, 1.0), backend='pillow'),
    dict(type='RandomFlip', prob=0.5),
]
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='MultiView', num_views=[1, 1], transforms=[{{_base_.view_pipeline}}, weak_view_pipeline]),
    dict(type='PackInputs'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
