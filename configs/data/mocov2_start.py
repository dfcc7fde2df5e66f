"""MoCo v2 on the space inside any pretrained ResNet, for one GPU.

    python tools/train.py configs/data/mocov2_start.py --start FILE --cfg-options train_dataloader.dataset.data_root=FOLDER

Steps count, not epochs: about 50 epochs of 10 thousand images, 15 of 100 thousand, 3 of a million.
"""

_base_ = '../_base_/mocov2_supernet.py'

epochs = 50
model = dict(
    queue_len=4096,
    teacher_momentum=0.99,
    backbone=dict(space='auto'),
    head=dict(temperature=0.1))
train_dataloader = dict(batch_size=128, dataset=dict(data_root='data/images/train'))
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='AdamW', lr=5e-4, weight_decay=1e-4))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=True, begin=0, end=1, convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', T_max=epochs - 1, by_epoch=True, begin=1, end=epochs, convert_to_iter_based=True),
]
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=epochs)
auto_scale_lr = dict(base_batch_size=128, enable=False)
