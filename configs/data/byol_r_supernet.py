"""BYOL on ImageNet, 200 epochs: 16 GPUs x 128 images x 2 steps = 4096, as its paper trains a plain ResNet-50.

A batch of 256 a GPU would take more than 80 GB in float32.

    NNODES=2 NODE_RANK=0 MASTER_ADDR=HOST bash tools/dist_train.sh configs/data/byol_r_supernet.py 8    # and NODE_RANK=1
"""

_base_ = '../_base_/byol_supernet.py'

epochs = 200
train_dataloader = dict(batch_size=128)
# LARS takes no notice of the losses' sum, so the rate is that of the plain method.
optim_wrapper = dict(
    type='OptimWrapper', accumulative_counts=2,
    optimizer=dict(type='LARS', lr=4.8, momentum=0.9, weight_decay=1e-6),
    paramwise_cfg=dict(
        norm_decay_mult=0, bias_decay_mult=0,
        custom_keys={name: dict(decay_mult=0, lars_exclude=True) for name in ('bn', 'bias', 'downsample.1')}))
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-4, by_epoch=True, begin=0, end=10, convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', T_max=epochs - 10, by_epoch=True, begin=10, end=epochs, convert_to_iter_based=True),
]
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=epochs)
auto_scale_lr = dict(base_batch_size=2048, enable=False)  # images an iteration, of which two make a step
