"""Fine-tuning on a thousand images, one process."""

_base_ = 'classification.py'

epochs, warm_up = 20, 2
data_root = 'data/imagenette'
train_dataloader = dict(batch_size=32, num_workers=2, pin_memory=False, dataset=dict(data_root=data_root))
val_dataloader = dict(num_workers=2, pin_memory=False, dataset=dict(data_root=data_root))
test_dataloader = val_dataloader
optim_wrapper = dict(optimizer=dict(lr=0.01))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, by_epoch=True, begin=0, end=warm_up, convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', T_max=epochs - warm_up, by_epoch=True, begin=warm_up, end=epochs, convert_to_iter_based=True),
]
train_cfg = dict(max_epochs=epochs, val_interval=5)
default_hooks = dict(logger=dict(interval=10))
auto_scale_lr = dict(base_batch_size=32)
