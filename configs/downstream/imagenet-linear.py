"""Linear evaluation on ImageNet: 8 GPUs x 32 images. The backbone is frozen, its batch norms stay in eval mode."""

_base_ = '../_base_/classification.py'

model = dict(backbone=dict(frozen_stages=4))
train_dataloader = dict(batch_size=32)
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=30.0, momentum=0.9, weight_decay=0.0))
param_scheduler = [dict(type='MultiStepLR', by_epoch=True, milestones=[60, 80], gamma=0.1)]
train_cfg = dict(by_epoch=True, max_epochs=100, val_interval=10)
auto_scale_lr = dict(base_batch_size=256, enable=False)
