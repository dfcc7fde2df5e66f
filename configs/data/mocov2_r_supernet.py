"""The paper's supernet: MoCo v2 on ImageNet, 200 epochs, 16 GPUs x 64 images.

    NNODES=2 NODE_RANK=0 MASTER_ADDR=HOST bash tools/dist_train.sh configs/data/mocov2_r_supernet.py 8    # and NODE_RANK=1
"""

_base_ = '../_base_/mocov2_supernet.py'

epochs = 200
train_dataloader = dict(batch_size=64)
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.12, momentum=0.9, weight_decay=7.5e-5))
param_scheduler = [dict(type='CosineAnnealingLR', T_max=epochs, by_epoch=True, begin=0, end=epochs, convert_to_iter_based=True)]
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=epochs)
auto_scale_lr = dict(base_batch_size=1024, enable=False)
