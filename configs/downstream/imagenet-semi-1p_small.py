"""Fine-tuning on 1 % of a thousand images, ten, one process: an epoch is an iteration."""

_base_ = 'imagenet-semi-1p.py'

data_root = 'data/imagenette'
train_dataloader = dict(batch_size=32, num_workers=2, pin_memory=False, dataset=dict(data_root=data_root))
val_dataloader = dict(num_workers=2, pin_memory=False, dataset=dict(data_root=data_root))
test_dataloader = val_dataloader
optim_wrapper = dict(optimizer=dict(lr=0.001))
param_scheduler = [dict(type='MultiStepLR', by_epoch=True, milestones=[180, 240], gamma=0.2)]
train_cfg = dict(max_epochs=300, val_interval=100)
default_hooks = dict(logger=dict(interval=10), checkpoint=dict(interval=10))
auto_scale_lr = dict(base_batch_size=32)
