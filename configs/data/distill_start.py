"""A pretrained ResNet distilled into the supernet inside it, its settings chosen by the number of images.

    python tools/train.py configs/data/distill_start.py --start FILE --data FOLDER
"""

_base_ = ['../_base_/distill_supernet.py', '../_base_/auto_schedule.py']

model = dict(
    feat_dim='auto',
    teacher=dict(type='gaia_ssl.PretrainedResNet', checkpoint='auto'),
    backbone=dict(space='auto'))
train_dataloader = dict(batch_size='auto', dataset=dict(data_root='data/images/train'))
default_hooks = dict(logger=dict(interval='auto'))
