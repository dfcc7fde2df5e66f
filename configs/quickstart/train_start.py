"""The quickstart's supernet where there is a pretrained ResNet: that distilled into the space inside it, at 128 px."""

_base_ = '../data/distill_start.py'

train_pipeline = _base_.train_pipeline
view_pipeline = train_pipeline[1]['transforms'][0]
view_pipeline[0]['scale'] = 128  # of RandomResizedCrop
train_dataloader = dict(num_workers=2, pin_memory=False, dataset=dict(pipeline=train_pipeline))
custom_hooks = [
    dict(type='gaia_ssl.SandwichSamplerHook', sandwich='random+random+max'),
    dict(type='gaia_ssl.UnreadableImagesHook', max_unreadable=0.01),
    dict(type='gaia_ssl.SubnetEvaluationHook', train='data/images/train', interval=1000, num_images=256, resolution=128),
]
