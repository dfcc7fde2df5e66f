"""DenseCL on a thousand images at 224 px, small enough for two CPU cores: 384 archs of 0.11 to 0.36 G.

    python tools/train.py configs/data/densecl_r_supernet_imagenette.py --amp
"""

_base_ = '../_base_/densecl_supernet.py'

epochs = 28
model = dict(
    queue_len=128,
    teacher_momentum=0.99,
    backbone=dict(
        space=dict(
            stem=[16, 24],
            widths=[[16, 24], [32, 48], [64, 96], [128, 192]],
            depths=[[1], [1, 2], [1, 2, 3], [1, 2]])),
    neck=dict(hid_channels=512),
    head=dict(temperature=0.1))
train_dataloader = dict(
    batch_size=32, num_workers=2, pin_memory=False, dataset=dict(data_root='data/imagenette/train'))
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='AdamW', lr=1e-3, weight_decay=1e-4))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=True, begin=0, end=5, convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', T_max=epochs - 5, by_epoch=True, begin=5, end=epochs, convert_to_iter_based=True),
]
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=epochs)
default_hooks = dict(logger=dict(interval=10))
log_processor = dict(window_size=31)
auto_scale_lr = dict(base_batch_size=32, enable=False)
