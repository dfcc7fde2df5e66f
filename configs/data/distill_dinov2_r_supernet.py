"""DINOv2's ViT-S/14 distilled into the paper's supernet: its class token, and how its patches relate.

The teacher's patches at 224 px are a grid of 16x16, which meets the student's C4 (14x14) and C5 (7x7) on the coarser one.

    bash tools/dist_train.sh configs/data/distill_dinov2_r_supernet.py 8 --cfg-options \\
        model.teacher.checkpoint=dinov2_vits14_pretrain.pth
"""

_base_ = './distill_r_supernet.py'

model = dict(
    feat_dim=384,
    teacher=dict(
        _delete_=True,
        type='mmpretrain.VisionTransformer',
        arch='dinov2-small',
        img_size=518,
        patch_size=14,
        layer_scale_init_value=1e-5,
        checkpoint='dinov2_vits14_pretrain.pth'),
    head=dict(relations=1.0, relation_stages=['c4', 'c5']))
