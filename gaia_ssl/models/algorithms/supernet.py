"""The sandwich step, common to all self-supervised methods (Algorithm 1 of the paper)."""

from __future__ import annotations

import copy
import math
from abc import abstractmethod
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from mmengine.dist import get_rank, get_world_size
from mmengine.optim import OptimWrapper
from mmpretrain.models.selfsup import BaseSelfSupervisor
from torch import Tensor, nn

from gaia_ssl.errors import UserError
from gaia_ssl.models.backbones import DynamicResNet
from gaia_ssl.models.dynamic import make_dynamic
from gaia_ssl.registry import MODELS
from gaia_ssl.space import Arch

Targets = dict[str, Tensor]
"""What the teacher gives a step's losses, by name."""


class Supernet(BaseSelfSupervisor):
    """A student that learns at varying archs, and a teacher: its EMA copy, always at the max arch.

    A method implements :meth:`teach`, :meth:`loss` and, where something follows the losses, :meth:`finish_step`.
    The archs of a step are put here by :class:`gaia_ssl.engine.SandwichSamplerHook`.

    Args:
        backbone: Config of a :class:`DynamicResNet`.
        neck: Config of mmpretrain's neck. Its ``in_channels`` may be left out; its linear layers take any subnet's width.
        head: Config of mmpretrain's head.
        teacher: Which arch of the teacher a student learns from: ``'max'`` for all, or ``'same'``, the student's own
            (the paper's Table 8, where it does worse; one teacher forward an arch).
        teacher_momentum: The share of itself that the teacher keeps in an update, e.g. 0.999.
        final_teacher_momentum: Where the momentum ends on a cosine over the whole training; default: it stays.
        drop_path: Of the max arch's student, the share of images for which the last block's residual branch is dropped; less
            for earlier ones. The max arch alone is regularised, as in AttentiveNAS (https://arxiv.org/abs/2011.09011), since
            smaller ones lack capacity.
        data_preprocessor: :class:`ViewPreprocessor`, or mmpretrain's ``SelfSupDataPreprocessor``.
    """

    centres_embeddings = False
    """Whether embeddings mean something only less their mean over the batch."""

    def __init__(self,
                 backbone: dict,
                 neck: dict,
                 head: dict,
                 teacher: str = 'max',
                 teacher_momentum: float = 0.999,
                 final_teacher_momentum: float | None = None,
                 drop_path: float = 0.,
                 data_preprocessor: dict | None = None,
                 init_cfg: dict | list[dict] | None = None) -> None:
        if final_teacher_momentum is None:
            final_teacher_momentum = teacher_momentum
        for name, momentum in (('teacher_momentum', teacher_momentum), ('final_teacher_momentum', final_teacher_momentum)):
            if not 0 <= momentum <= 1:
                raise UserError(f'{name} is {momentum}; it is the share the teacher keeps, in [0, 1]')
        if not 0 <= drop_path < 1:
            raise UserError(f'drop_path is {drop_path}; it is the share of images that skip the last block, in [0, 1)')
        if drop_path and backbone.get('with_cp'):
            raise UserError('drop_path would drop other images when a block is computed again; leave drop_path or with_cp out')
        if teacher not in ('max', 'same'):
            raise UserError(f"teacher is '{teacher}'; students learn from the teacher at the 'max' arch or at the 'same' arch")
        backbone = MODELS.build(dict(backbone, out_indices=(3, )))
        if not isinstance(backbone, DynamicResNet):
            raise UserError(f'the backbone of a supernet is a gaia_ssl.DynamicResNet, not a {type(backbone).__name__}')
        channels = backbone.space.max.out_channels[-1]
        neck = dict(neck)
        if neck.setdefault('in_channels', channels) != channels:
            raise UserError(f"neck.in_channels is {neck['in_channels']}, but the space's max arch puts out {channels}; "
                            'leave it out')
        super().__init__(backbone, neck, head, data_preprocessor=data_preprocessor, init_cfg=init_cfg)
        make_dynamic(self.neck)
        self.same_arch_teacher = teacher == 'same'
        self.momentum_range = teacher_momentum, final_teacher_momentum
        self.teacher_momentum = teacher_momentum
        self.teacher = nn.ModuleDict(dict(backbone=copy.deepcopy(self.backbone), neck=copy.deepcopy(self.neck)))
        self.teacher.requires_grad_(False)
        self.drop_path = drop_path
        self.iteration: int | None = None
        self.sandwich: dict[str, Arch] = {}
        self.loss_weights: Mapping[str, float] = {}

    def init_weights(self) -> None:
        """Initialise the student; the teacher starts as its copy."""
        super().init_weights()
        self.teacher['backbone'].load_state_dict(self.backbone.state_dict())
        self.teacher['neck'].load_state_dict(self.neck.state_dict())

    def prepare_training(self, example: Callable[[], Any]) -> None:
        """Read what the method needs beside its weights, and raise a UserError if it or the data do not suit; nothing here.

        Args:
            example: Gives a batch of one image, as the data loader would.
        """

    def set_sandwich(self, iteration: int, archs: dict[str, Arch], progress: float = 0.,
                     weights: Mapping[str, float] | None = None) -> None:
        """Set the archs of the coming step.

        Args:
            iteration: Its number, for messages.
            archs: By name; the last one must be the max arch, which touches every parameter.
            progress: How much of the training is behind, in [0, 1]; sets the teacher's momentum.
            weights: By name, of the losses in their sum; 1 where it says nothing.
        """
        if list(archs.values())[-1] != self.backbone.space.max:
            raise ValueError('the last arch of a sandwich must be the max arch')
        first, final = self.momentum_range
        self.teacher_momentum = final - (final - first) * (math.cos(math.pi * progress) + 1) / 2  # BYOL, section 3.2
        self.iteration = iteration
        self.sandwich = archs
        self.loss_weights = weights or {}

    def train_step(self, data: Any, optim_wrapper: OptimWrapper) -> dict[str, Tensor]:
        return self.sandwich_step(data, optim_wrapper, self)

    def sandwich_step(self, data: Any, optim_wrapper: OptimWrapper, model: nn.Module) -> dict[str, Tensor]:
        """One step over the archs of the sandwich.

        EMA update; the teacher encodes its view once; each arch, max last: forward, loss against the same targets,
        backward; one optimizer step; then what follows the losses. Gradients are synchronised with the last backward
        only. The losses are summed by their weights, and each backward frees its graph, so memory is that of the max arch.
        With ``teacher='same'``, the teacher encodes its view before each arch's forward, at that arch.

        Args:
            data: A batch of views as the data loader gives it.
            optim_wrapper: mmengine's; accumulation, clipping and mixed precision are its business.
            model: This module or the DDP wrapper around it.

        Returns:
            Detached losses, on the CPU: ``loss`` (their weighted sum), ``loss_max``, ``loss_random_1``, …

        Raises:
            UserError: If a loss is not finite; the weights are then those of the last good step.
        """
        if not self.sandwich:
            raise UserError("no archs are set for this step; add dict(type='gaia_ssl.SandwichSamplerHook') to custom_hooks")
        with optim_wrapper.optim_context(model):
            views = self._views(data)
            if optim_wrapper.should_update():  # by its count of past steps: not amid an accumulation
                self.update_teacher()
            taught = [] if self.same_arch_teacher else [self.teach(views)]

        losses: dict[str, Tensor] = {}
        for name, arch in self.sandwich.items():
            last = len(losses) == len(self.sandwich) - 1
            self.backbone.set_arch(arch)
            with _no_sync(model) if not last else nullcontext(), optim_wrapper.optim_context(model):
                if self.same_arch_teacher:
                    self.teacher['backbone'].set_arch(arch)
                    taught.append(self.teach(views))
                with self._dropped_paths() if last and self.drop_path else nullcontext():
                    loss = model(views, taught[-1], mode='loss')
            losses[f'loss_{name}'] = loss.detach()
            loss = self._weighted(name, loss)
            if last:
                losses = self._finite(losses)
                optim_wrapper.update_params(loss)
            else:
                # Not optim_wrapper.backward, which would count as a step of gradient accumulation.
                _scale(optim_wrapper, loss).backward()
        self.finish_step(_deal(taught))
        return dict(loss=sum(self._weighted(name, losses[f'loss_{name}']) for name in self.sandwich), **losses)

    @torch.no_grad()
    def update_teacher(self) -> None:
        """teacher <- momentum * teacher + (1 - momentum) * student (Eq. 2, read as EMA), once per optimizer step."""
        student = [*self.backbone.parameters(), *self.neck.parameters()]
        torch._foreach_lerp_(list(self.teacher.parameters()), student, 1 - self.teacher_momentum)

    @staticmethod
    def check_views(views: list[Tensor]) -> None:
        """Raise a UserError if the pipeline does not give two views."""
        if len(views) < 2:
            raise UserError(f'two views an image are compared, but the pipeline gives {len(views)}; use MultiView')

    def embed_student(self, images: Tensor) -> Tensor:
        """``(N, 3, H, W)`` to ``(N, D)``, at the arch that is set."""
        return self.neck(self.backbone(images))[0]

    def embed_teacher(self, images: Tensor) -> Tensor:
        """``(N, 3, H, W)`` to ``(N, D)``, at the max arch."""
        return self.teacher['neck'](self.teacher['backbone'](images))[0]

    @abstractmethod
    def teach(self, views: list[Tensor]) -> Targets:
        """What the teacher says of the views, each ``(N, 3, H, W)``, without gradient."""

    @abstractmethod
    def loss(self, views: list[Tensor], targets: Targets) -> Tensor:
        """The student's loss at the arch that is set, a scalar."""

    def finish_step(self, targets: Targets) -> None:
        """What follows the losses of a step; nothing here."""

    def _dropped_paths(self) -> AbstractContextManager:
        """By iteration and process: a resumed run drops what the uninterrupted one would have."""
        generator = torch.Generator(next(self.parameters()).device)
        generator.manual_seed(self.iteration * get_world_size() + get_rank())
        return self.backbone.dropped_paths(self.drop_path, generator)

    def _weighted(self, name: str, loss: Tensor) -> Tensor:
        weight = self.loss_weights.get(name, 1.)
        return loss if weight == 1 else weight * loss

    def _views(self, data: Any) -> list[Tensor]:
        views = self.data_preprocessor(data, True)['inputs']
        views = [views] if isinstance(views, Tensor) else views
        # Convolutions follow the layout of their input; this one is the fastest, on CPUs and in mixed precision on GPUs.
        return [view.contiguous(memory_format=torch.channels_last) for view in views]

    def _finite(self, losses: dict[str, Tensor]) -> dict[str, Tensor]:
        """The losses on the CPU, all checked: the one time in a step that the host waits for the device."""
        on_cpu = torch.stack(list(losses.values())).cpu()
        values = on_cpu.tolist()
        if not all(map(math.isfinite, values)):
            named = zip(self.sandwich.items(), values, strict=True)
            each = ', '.join(f'{name} {arch}: {value:g}' for (name, arch), value in named)
            raise UserError(f'the loss is not finite at iteration {self.iteration} ({each}); '
                            'lower the learning rate or clip gradients, and --resume from the last checkpoint')
        return dict(zip(losses, on_cpu.unbind(), strict=True))


def _deal(taught: list[Targets]) -> Targets:
    """One target an image, dealt from those of several archs in turn: a queue then holds each image once, and every arch."""
    if len(taught) == 1:
        return taught[0]
    dealt = {}
    for name in taught[0]:
        each = torch.stack([targets[name] for targets in taught])
        images = torch.arange(each.size(1), device=each.device)
        dealt[name] = each[images % len(taught), images]
    return dealt


def _no_sync(model: nn.Module) -> AbstractContextManager:
    return model.no_sync() if hasattr(model, 'no_sync') else nullcontext()


def _scale(optim_wrapper: OptimWrapper, loss: Tensor) -> Tensor:
    loss = optim_wrapper.scale_loss(loss)
    scaler = getattr(optim_wrapper, 'loss_scaler', None)
    return loss if scaler is None else scaler.scale(loss)
