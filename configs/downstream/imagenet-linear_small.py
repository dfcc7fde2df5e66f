"""Linear evaluation on a thousand images, one process."""

_base_ = 'imagenet-linear.py'

data_root = 'data/imagenette'
train_dataloader = dict(batch_size=32, num_workers=2, pin_memory=False, dataset=dict(data_root=data_root))
val_dataloader = dict(num_workers=2, pin_memory=False, dataset=dict(data_root=data_root))
test_dataloader = val_dataloader
optim_wrapper = dict(optimizer=dict(lr=3.75))
param_scheduler = [dict(type='MultiStepLR', by_epoch=True, milestones=[12, 16], gamma=0.1)]
train_cfg = dict(max_epochs=20, val_interval=5)
default_hooks = dict(logger=dict(interval=10))
auto_scale_lr = dict(base_batch_size=32)
