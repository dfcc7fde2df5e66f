"""DenseCL on the supernet of the paper's Table 1."""

_base_ = './supernet.py'

model = dict(
    type='gaia_ssl.SupernetDenseCL',
    queue_len=65536,
    feat_dim=128,
    loss_lambda=0.5,
    teacher_momentum=0.999,
    neck=dict(type='DenseCLNeck', hid_channels=2048, out_channels=128),
    head=dict(type='ContrastiveHead', loss=dict(type='CrossEntropyLoss'), temperature=0.2))
