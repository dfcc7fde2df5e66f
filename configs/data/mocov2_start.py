"""MoCo v2 on the space inside any pretrained ResNet, its settings chosen by the number of images.

    python tools/train.py configs/data/mocov2_start.py --start FILE --data FOLDER
"""

_base_ = ['../_base_/mocov2_supernet.py', '../_base_/auto_schedule.py']

model = dict(queue_len='auto', teacher_momentum='auto', backbone=dict(space='auto'), head=dict(temperature='auto'))
train_dataloader = dict(batch_size='auto', dataset=dict(data_root='data/images/train'))
default_hooks = dict(logger=dict(interval='auto'))
