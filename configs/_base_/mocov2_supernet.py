"""MoCo v2 on the supernet of the paper's Table 1."""

_base_ = './supernet.py'

model = dict(
    type='gaia_ssl.SupernetMoCo',
    queue_len=65536,
    feat_dim=128,
    teacher_momentum=0.999,
    neck=dict(type='MoCoV2Neck', hid_channels=2048, out_channels=128, with_avg_pool=True),
    head=dict(type='ContrastiveHead', loss=dict(type='CrossEntropyLoss'), temperature=0.2))
