"""The backbone beside this file as a module of torch alone; this text is the same for every export.

    from backbone import load

    net = load()                                     # backbone.pth beside this file; or load('backbone.safetensors')
    pooled = net(net.normalise(images))              # (N, net.num_features), as of a timm model with num_classes=0
    c2, c3, c4, c5 = net.maps(net.normalise(images))  # of net.channels channels each, as of one with features_only=True

    classifier = nn.Sequential(net, nn.Linear(net.num_features, 10))
    fpn = torchvision.models.detection.backbone_utils.BackboneWithFPN(  # for torchvision's detectors; their own normalisation
        net, {f'layer{stage}': str(stage) for stage in (1, 2, 3, 4)}, net.channels, 256)  # has to be image_mean=net.mean, …

Images are ``(N, channels, height, width)`` of numbers from 0 to 1, three channels in the order RGB, as the ``ToTensor`` of
torchvision gives them; ``net.resolution`` is the side in pixels that it was made for. ``net.mean`` and ``net.std`` are what
``torchvision.transforms.Normalize`` takes where ``net.order`` is RGB; for BGR turn the channels round first, as ``normalise``
does. Of images of other channels or bits, ``net.pixel_range`` has the numbers of each channel that become 0 (``low``) and 1
(``high``); what lies outside is cut off. Key names are torchvision's. What is trained here goes back into a toolbox of
OpenMMLab: save ``classifier.state_dict()`` and say ``init_cfg=dict(type='Pretrained', checkpoint=FILE, prefix='0.')``.
"""

import json
import pathlib

import torch
from torch import nn


class Bottleneck(nn.Module):
    """1x1, 3x3 with the stride, 1x1, and a shortcut, which the first block of a stage projects."""

    def __init__(self, inputs: int, width: int, stride: int, project: bool) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(inputs, width, 1, bias=False), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = nn.Conv2d(width, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width)
        self.conv3, self.bn3 = nn.Conv2d(width, 4 * width, 1, bias=False), nn.BatchNorm2d(4 * width)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = nn.Sequential(nn.Conv2d(inputs, 4 * width, 1, stride, bias=False),
                                        nn.BatchNorm2d(4 * width)) if project else nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.relu(self.bn2(self.conv2(out)))
        return self.relu(self.bn3(self.conv3(out)) + self.downsample(x))


class Backbone(nn.Module):
    """``meta`` is what the file of the weights says of itself: ``arch``, ``stem_kernel``, ``resolution``, ``mean``, …"""

    def __init__(self, meta: dict) -> None:
        super().__init__()
        stem, *stages = meta['arch'].split('-')
        widths, depths = zip(*(map(int, stage.split('x')) for stage in stages), strict=True)
        self.channels = [4 * width for width in widths]
        self.num_features, self.resolution = self.channels[-1], meta['resolution']
        self.mean, self.std = ([value / 255 for value in meta[name]] for name in ('mean', 'std'))
        self.order = 'RGB' if meta['to_rgb'] or 'pixel_range' in meta else 'BGR'
        self.pixel_range = meta.get('pixel_range')
        inputs, large = int(stem), meta['stem_kernel'] == 7
        self.conv1 = nn.Conv2d(len(self.mean), inputs, 7 if large else 3, 2 if large else 1, 3 if large else 1, bias=False)
        self.bn1, self.relu = nn.BatchNorm2d(inputs), nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, 1) if large else nn.Identity()
        for number, (width, depth) in enumerate(zip(widths, depths, strict=True)):
            blocks = [Bottleneck(inputs if block == 0 else 4 * width, width, 2 if number and block == 0 else 1, block == 0)
                      for block in range(depth)]
            self.add_module(f'layer{number + 1}', nn.Sequential(*blocks))
            inputs = 4 * width

    def normalise(self, images: torch.Tensor) -> torch.Tensor:
        """Images from 0 to 1 as the network takes them."""
        images = images.flip(1) if self.order == 'BGR' else images
        mean, std = (images.new_tensor(values).view(-1, 1, 1) for values in (self.mean, self.std))
        return (images - mean) / std

    def maps(self, images: torch.Tensor) -> list[torch.Tensor]:
        """C2 to C5, of normalised images."""
        outs = [self.maxpool(self.relu(self.bn1(self.conv1(images))))]
        for stage in (1, 2, 3, 4):
            outs.append(self.get_submodule(f'layer{stage}')(outs[-1]))
        return outs[1:]

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """``(N, num_features)``, C5 averaged over its positions."""
        return self.maps(images)[-1].mean((2, 3))


def load(path: str | pathlib.Path | None = None) -> Backbone:
    """The exported network in eval mode, out of its ``.pth`` (default: the one beside this file) or ``.safetensors`` file."""
    path = path or pathlib.Path(__file__).with_name('backbone.pth')
    if str(path).endswith('.safetensors'):
        from safetensors import safe_open
        with safe_open(path, 'pt') as file:
            texts, state = file.metadata(), {name: file.get_tensor(name) for name in file.keys()}
        names = ('stem_kernel', 'resolution', 'mean', 'std', 'to_rgb', 'pixel_range')
        meta = {name: json.loads(texts[name]) for name in names if name in texts}
        meta['arch'] = texts['arch']
    else:
        content = torch.load(path, map_location='cpu', weights_only=True)
        meta, state = content['meta']['gaia_ssl'], content['state_dict']
    net = Backbone(meta)
    net.load_state_dict(state)
    return net.eval()
