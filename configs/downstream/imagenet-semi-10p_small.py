"""Fine-tuning on 10 % of a thousand images, a hundred, one process."""

_base_ = 'imagenet-semi-10p.py'

data_root = 'data/imagenette'
train_dataloader = dict(batch_size=25, num_workers=2, pin_memory=False, dataset=dict(data_root=data_root))
val_dataloader = dict(num_workers=2, pin_memory=False, dataset=dict(data_root=data_root))
test_dataloader = val_dataloader
optim_wrapper = dict(optimizer=dict(lr=0.001))
param_scheduler = [dict(type='MultiStepLR', by_epoch=True, milestones=[45, 60], gamma=0.2)]
train_cfg = dict(max_epochs=75, val_interval=25)
default_hooks = dict(logger=dict(interval=10), checkpoint=dict(interval=10))
auto_scale_lr = dict(base_batch_size=25)
