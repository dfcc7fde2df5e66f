"""ReSSL on ImageNet-10%, 200 epochs, 8 GPUs x 32 images.

``meta/train_10percent.txt`` lists the images, a path inside ``train/`` a line.

    bash tools/dist_train.sh configs/data/ressl_r_supernet_in10p.py 8
"""

_base_ = '../_base_/ressl_supernet.py'

epochs = 200
train_dataloader = dict(
    batch_size=32, dataset=dict(data_root='data/imagenet', data_prefix='train', ann_file='meta/train_10percent.txt'))
optim_wrapper = dict(
    type='OptimWrapper', optimizer=dict(type='SGD', lr=0.05, momentum=0.9, weight_decay=1e-4),
    paramwise_cfg=dict(norm_decay_mult=0, bias_decay_mult=0))
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-4, by_epoch=True, begin=0, end=5, convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', T_max=epochs - 5, by_epoch=True, begin=5, end=epochs, convert_to_iter_based=True),
]
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=epochs)
auto_scale_lr = dict(base_batch_size=256, enable=False)
