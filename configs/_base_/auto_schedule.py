"""A schedule of AdamW whose numbers follow from how many images there are: see docs/usage.md."""

optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='AdamW', lr='auto', weight_decay=1e-4))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end='auto'),
    dict(type='CosineAnnealingLR', by_epoch=False, begin='auto', end='auto'),
]
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs='auto')
auto_scale_lr = dict(base_batch_size='auto', enable=False)
