"""What every method's training shares: the space of the paper's Table 1, two views an image, and the runtime."""

default_scope = 'mmpretrain'
# In a config on top of this one by gaia_ssl::, mmengine looks all types up in gaia_ssl, unless the first dict with a type, which
# is then the whole config, names a scope.
type, _scope_ = 'config', 'mmpretrain'

model = dict(
    data_preprocessor=dict(
        type='gaia_ssl.ViewPreprocessor', mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], to_rgb=True),
    backbone=dict(
        type='gaia_ssl.DynamicResNet',
        space=dict(
            stem=[32, 48, 64],
            widths=[[48, 64, 80], [96, 128, 160], [192, 256, 320], [384, 512, 640]],
            depths=[[2, 3, 4], [2, 4, 6], list(range(5, 30, 2)), [2, 3, 4]])))

view_pipeline = [
    dict(type='RandomResizedCrop', scale=224, crop_ratio_range=(0.2, 1.0), backend='pillow'),
    dict(
        type='RandomApply',
        transforms=[dict(type='ColorJitter', brightness=0.4, contrast=0.4, saturation=0.4, hue=0.1)],
        prob=0.8),
    dict(type='RandomGrayscale', prob=0.2, keep_channels=True, channel_weights=(0.114, 0.587, 0.2989)),
    dict(type='GaussianBlur', magnitude_range=(0.1, 2.0), magnitude_std='inf', prob=0.5),
    dict(type='RandomFlip', prob=0.5),
]
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='MultiView', num_views=2, transforms=[view_pipeline]),
    dict(type='PackInputs'),
]
device_views = None  # colours, blur and flips by the GPU, where there is one; True and False decide
train_dataloader = dict(
    batch_size=64,
    num_workers=8,
    drop_last=True,
    persistent_workers=True,
    pin_memory=True,
    sampler=dict(type='gaia_ssl.SeededSampler', shuffle=True),
    collate_fn=dict(type='default_collate'),
    dataset=dict(type='gaia_ssl.ImageFolder', data_root='data/imagenet/train', pipeline=train_pipeline))

custom_hooks = [
    dict(type='gaia_ssl.SandwichSamplerHook', sandwich='random+random+max'),
    dict(type='gaia_ssl.UnreadableImagesHook', max_unreadable=0.01),
]
default_hooks = dict(
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=100),
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(type='gaia_ssl.AtomicCheckpointHook', interval=1, max_keep_ckpts=3),
    sampler_seed=dict(type='DistSamplerSeedHook'))
log_processor = dict(window_size=50)

model_wrapper_cfg = dict(type='gaia_ssl.SandwichDistributedDataParallel')
env_cfg = dict(
    cudnn_benchmark=True,
    mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0),
    dist_cfg=dict(backend='nccl'))
vis_backends = [dict(type='LocalVisBackend')]
visualizer = dict(type='UniversalVisualizer', vis_backends=vis_backends)
randomness = dict(seed=0)
log_level = 'INFO'
load_from = None
resume = False
