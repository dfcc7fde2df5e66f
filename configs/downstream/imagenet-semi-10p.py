"""Fine-tuning on 10 % of ImageNet's labels: 4 GPUs x 64 images.

``meta/train_labeled_10percent.txt`` has a line an image: its path inside ``train/``, and the number of its class.
The paper takes the best of nine settings, learning rate 0.001, 0.01 or 0.1 times head multiplier 1, 10 or 100. Another one:

    --cfg-options optim_wrapper.optimizer.lr=0.1 optim_wrapper.paramwise_cfg.custom_keys.head.lr_mult=100
"""

_base_ = '../_base_/classification.py'

train_dataloader = dict(batch_size=64, dataset=dict(ann_file='meta/train_labeled_10percent.txt'))
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=0.01, momentum=0.9, weight_decay=5e-4),
    paramwise_cfg=dict(custom_keys=dict(head=dict(lr_mult=10))))
param_scheduler = [dict(type='MultiStepLR', by_epoch=True, milestones=[12, 16], gamma=0.2)]
train_cfg = dict(by_epoch=True, max_epochs=20, val_interval=5)
auto_scale_lr = dict(base_batch_size=256, enable=False)
