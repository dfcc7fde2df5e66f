"""DINOv2's ViT-S/14 distilled into the paper's supernet: its class token, and how its patches relate.

The teacher's patches at 224 px are a grid of 16x16, which meets the student's C4 (14x14) and C5 (7x7) on the coarser one.

    bash tools/dist_train.sh configs/data/distill_dinov2_r_supernet.py 8 --cfg-options \\
        model.teacher.checkpoint=dinov2_vits14_pretrain.pth
"""

_base_ = '../_base_/distill_supernet.py'

epochs = 100
model = dict(
    feat_dim=384,
    teacher=dict(
        type='mmpretrain.VisionTransformer',
        arch='dinov2-small',
        img_size=518,
        patch_size=14,
        layer_scale_init_value=1e-5,
        checkpoint='dinov2_vits14_pretrain.pth'),
    head=dict(relations=1.0, relation_stages=['c4', 'c5']))
train_dataloader = dict(batch_size=64)
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='AdamW', lr=2e-3, weight_decay=1e-4))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=True, begin=0, end=1, convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', T_max=epochs - 1, by_epoch=True, begin=1, end=epochs, convert_to_iter_based=True),
]
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=epochs)
auto_scale_lr = dict(base_batch_size=512, enable=False)
