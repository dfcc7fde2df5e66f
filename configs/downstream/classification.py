"""Fine-tuning on any images in ``train/CLASS/`` and ``val/CLASS/``, e.g. a data set of VTAB: 4 GPUs x 64 images.

The paper leaves its settings for VTAB to a supplement; these are usual ones for transfer.
"""

_base_ = '../_base_/classification.py'

epochs, warm_up = 100, 5
data_root = 'data/classification'
model = dict(head=dict(num_classes=None))  # filled in with the classes of the data
train_dataloader = dict(dataset=dict(data_root=data_root))
val_dataloader = dict(dataset=dict(data_root=data_root))
test_dataloader = val_dataloader
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.03, momentum=0.9, weight_decay=1e-4))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, by_epoch=True, begin=0, end=warm_up, convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', T_max=epochs - warm_up, by_epoch=True, begin=warm_up, end=epochs, convert_to_iter_based=True),
]
train_cfg = dict(by_epoch=True, max_epochs=epochs, val_interval=5)
auto_scale_lr = dict(base_batch_size=256, enable=False)
