"""MoCo v2 from torchvision's ResNet-101, on the 19,683 archs inside it (1.0 to 7.8 G), for one GPU.

    python tools/train.py configs/data/mocov2_r101_start.py --cfg-options train_dataloader.dataset.data_root=FOLDER

``--start FILE`` takes another network of the same shape.
"""

_base_ = './mocov2_start.py'

model = dict(
    backbone=dict(
        space='64-64x3-128x4-256x23-512x3', init_cfg=dict(type='Pretrained', checkpoint='torchvision://resnet101')))
train_dataloader = dict(batch_size=96)
