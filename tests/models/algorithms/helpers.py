"""Tiny supernets of each method, their batches, and MoCo's loss written down again with plain layers."""

from __future__ import annotations

import copy
import functools
import pathlib
import tempfile

import torch
from mmengine.optim import OptimWrapper
from mmpretrain.structures import DataSample
from torch import nn
from torch.nn import functional as F

from gaia_ssl import Arch, ArchSpace
from gaia_ssl.models import extract_subnet
from gaia_ssl.models.algorithms import Supernet, SupernetMoCo
from gaia_ssl.registry import MODELS
from tests import tiny

TEMPERATURE = 0.2
NECK = dict(type='mmpretrain.MoCoV2Neck', hid_channels=24, out_channels=8, with_avg_pool=True)
HEAD = dict(type='mmpretrain.ContrastiveHead', loss=dict(type='mmpretrain.CrossEntropyLoss'), temperature=TEMPERATURE)
MEAN, STD = [100., 110., 120.], [50., 60., 70.]
PREPROCESSOR = dict(type='gaia_ssl.ViewPreprocessor', mean=MEAN, std=STD, to_rgb=True)


MLP = dict(type='mmpretrain.NonLinearNeck', hid_channels=16, out_channels=8, num_layers=2, with_bias=True, with_last_bn=False,
           norm_cfg=dict(type='gaia_ssl.DynamicSyncBatchNorm'))
METHODS = dict(
    SupernetMoCo=dict(neck=NECK, head=HEAD, queue_len=16, feat_dim=8, bn_splits=1),
    SupernetBYOL=dict(
        neck=dict(**MLP, with_avg_pool=True),
        head=dict(type='mmpretrain.LatentPredictHead', predictor=dict(**MLP, in_channels=8, with_avg_pool=False),
                  loss=dict(type='mmpretrain.CosineSimilarityLoss', shift_factor=2., scale_factor=2.))),
    SupernetReSSL=dict(neck=NECK, head=dict(type='gaia_ssl.RelationHead'), queue_len=16, feat_dim=8, bn_splits=1),
    SupernetDenseCL=dict(neck=dict(type='mmpretrain.DenseCLNeck', hid_channels=24, out_channels=8), head=HEAD, queue_len=16,
                         feat_dim=8, bn_splits=1),
)
"""What each method needs beside a backbone."""


@functools.cache
def teacher() -> dict:
    """The config of a frozen teacher; its file is the same on every process."""
    return tiny.save_teacher(pathlib.Path(tempfile.mkdtemp()) / 'teacher.pth')


def distilled(**head) -> dict:
    """What SupernetDistill needs beside a backbone."""
    return dict(tiny.distillation(teacher()), queue_len=16,
                head=dict(dict(type='gaia_ssl.DistillHead', queue=1., relations=1., teacher_temperature=0.07), **head))


def build_supernet(method: str, space: ArchSpace, seed: int = 0, norm: str = 'BN', **kwargs) -> Supernet:
    """A supernet whose batch norms are not neutral and whose teacher is not the student."""
    torch.manual_seed(seed)
    settings = dict(METHODS.get(method) or distilled(), teacher_momentum=0.9, data_preprocessor=PREPROCESSOR)
    backbone = dict(type='gaia_ssl.DynamicResNet', space=space, stem_kernel=3, norm_cfg=dict(type=norm))
    model = MODELS.build(dict(dict(settings, type=f'gaia_ssl.{method}', backbone=backbone), **kwargs))
    model.init_weights()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if 'bn' in name or 'downsample.1' in name:
                parameter.uniform_(0.5, 1.5)
        for teacher, student in zip(model.teacher.parameters(), student_parameters(model), strict=True):
            teacher.copy_(student + 0.2 * student.abs().mean() * torch.randn_like(student))
    return model.train()


def build_moco(space: ArchSpace, **kwargs) -> SupernetMoCo:
    return build_supernet('SupernetMoCo', space, **kwargs)


def student_parameters(model: Supernet) -> list[nn.Parameter]:
    return [*model.backbone.parameters(), *model.neck.parameters()]


def batch(size: int, seed: int = 0, side: int = 16) -> dict:
    """Two views of ``size`` images, 0 to 255, as a data loader gives them."""
    generator = torch.Generator().manual_seed(seed)
    views = [torch.rand(size, 3, side, side, generator=generator) * 255 for _ in range(2)]
    return dict(inputs=views, data_samples=[DataSample()] * size)


def normalised(views: list[torch.Tensor]) -> list[torch.Tensor]:
    """What :data:`PREPROCESSOR` makes of views."""
    mean, std = (torch.tensor(numbers).view(3, 1, 1) for numbers in (MEAN, STD))
    return [(view[:, [2, 1, 0]] - mean) / std for view in views]


def sgd(model: nn.Module, lr: float = 0.05, wrapper: type[OptimWrapper] = OptimWrapper, **kwargs) -> OptimWrapper:
    return wrapper(torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=lr), **kwargs)


def record_gradients(model: Supernet, optim_wrapper: OptimWrapper) -> list[dict[str, torch.Tensor]]:
    """A list that every optimizer step extends by the gradients it is given."""
    steps = []
    optim_wrapper.optimizer.register_step_pre_hook(lambda *_: steps.append(
        {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}))
    return steps


def teacher_keys(model: SupernetMoCo, images: torch.Tensor) -> torch.Tensor:
    """Keys of normalised images from a static copy of the teacher, all by the statistics of this batch."""
    backbone = extract_subnet(model.teacher['backbone'], model.backbone.space.max).train()
    with torch.no_grad():
        return F.normalize(copy.deepcopy(model.teacher['neck']).mlp(backbone(images)[-1].mean((2, 3))), dim=1)


def info_nce(queries: torch.Tensor, keys: torch.Tensor, queue: torch.Tensor) -> torch.Tensor:
    logits = torch.cat([(queries * keys).sum(1, keepdim=True), queries @ queue], dim=1) / TEMPERATURE
    return (torch.logsumexp(logits, 1) - logits[:, 0]).mean()


def reference_gradient(model: SupernetMoCo, arch: Arch, images: torch.Tensor, keys: torch.Tensor,
                       queue: torch.Tensor) -> tuple[float, dict[str, torch.Tensor]]:
    """Loss and gradient of one arch, from a static network with plain layers, put back into the supernet's places."""
    backbone = extract_subnet(model.backbone, arch).train()
    first, last = model.neck.mlp[0], model.neck.mlp[2]
    weights = {'neck.mlp.0.weight': first.weight[:, :arch.out_channels[-1]], 'neck.mlp.0.bias': first.bias,
               'neck.mlp.2.weight': last.weight, 'neck.mlp.2.bias': last.bias}
    weights = {name: weight.detach().clone().requires_grad_() for name, weight in weights.items()}
    hidden = F.linear(backbone(images)[-1].mean((2, 3)), weights['neck.mlp.0.weight'], weights['neck.mlp.0.bias'])
    queries = F.normalize(F.linear(F.relu(hidden), weights['neck.mlp.2.weight'], weights['neck.mlp.2.bias']), dim=1)
    loss = info_nce(queries, keys, queue)
    weights.update((f'backbone.{name}', p) for name, p in backbone.named_parameters())
    grads = dict(zip(weights, torch.autograd.grad(loss, list(weights.values())), strict=True))
    whole = {name: torch.zeros_like(p) for name, p in model.named_parameters() if p.requires_grad}
    for name, grad in grads.items():
        whole[name][tuple(map(slice, grad.shape))] = grad
    return loss.item(), whole


def total(gradients: list[dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    return {name: sum(gradient[name] for gradient in gradients) for name in gradients[0]}


def assert_gradients_close(actual: dict, expected: dict, rtol: float = 1e-5) -> None:
    """Close relative to the largest entry of each parameter's gradient and, for noise, of all gradients."""
    assert actual.keys() == expected.keys()
    largest = max(float(grad.abs().max()) for grad in expected.values())
    assert largest > 1e-4
    for name, grad in expected.items():
        atol = rtol * max(float(grad.abs().max()), 0.1 * largest)
        torch.testing.assert_close(
            actual[name], grad, rtol=rtol, atol=atol, msg=lambda text, name=name: f'{name}: {text}')
