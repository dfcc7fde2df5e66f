"""DenseCL on ImageNet, 200 epochs: 8 GPUs x 32 images = 256, as its paper trains a plain ResNet-50.

    bash tools/dist_train.sh configs/data/densecl_r_supernet.py 8
"""

_base_ = '../_base_/densecl_supernet.py'

epochs = 200
train_dataloader = dict(batch_size=32)
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.03, momentum=0.9, weight_decay=1e-4))
param_scheduler = [dict(type='CosineAnnealingLR', T_max=epochs, by_epoch=True, begin=0, end=epochs, convert_to_iter_based=True)]
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=epochs)
auto_scale_lr = dict(base_batch_size=256, enable=False)
