"""A thin ResNet-50 distilled into a supernet of its own size on a thousand images at 112 px, for two CPU cores.

    python tools/train.py configs/data/distill_thin_imagenette.py --start data/pretrained/thin-resnet50.safetensors
"""

_base_ = './distill_start.py'

model = dict(
    backbone=dict(
        space=dict(
            _delete_=True,
            stem=[32, 48, 64],
            widths=[[16, 24, 32], [32, 48, 64], [64, 96, 128], [128, 192, 256]],
            depths=[[1, 2, 3], [2, 3, 4], [2, 4, 6], [1, 2, 3]])))
train_pipeline = _base_.train_pipeline
view_pipeline = train_pipeline[1]['transforms'][0]
view_pipeline[0]['scale'] = 112  # of RandomResizedCrop
train_dataloader = dict(
    num_workers=2, pin_memory=False, dataset=dict(data_root='data/imagenette/train', pipeline=train_pipeline))
