"""A pretrained ResNet-50 distilled into the paper's supernet, on ImageNet-like images: 100 epochs, 8 GPUs x 64 images.

Any checkpoint of a ResNet of bottlenecks will do as the teacher, also one of a MoCo, DINO or SwAV.

    bash tools/dist_train.sh configs/data/distill_r_supernet.py 8 --cfg-options model.teacher.checkpoint=resnet50.pth
"""

_base_ = '../_base_/distill_supernet.py'

epochs = 100
model = dict(
    feat_dim=2048,
    teacher=dict(type='gaia_ssl.PretrainedResNet', checkpoint='torchvision://resnet50'))
train_dataloader = dict(batch_size=64)
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='AdamW', lr=2e-3, weight_decay=1e-4))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=True, begin=0, end=1, convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', T_max=epochs - 1, by_epoch=True, begin=1, end=epochs, convert_to_iter_based=True),
]
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=epochs)
auto_scale_lr = dict(base_batch_size=512, enable=False)
