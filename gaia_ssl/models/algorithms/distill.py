"""Distillation of a frozen network into the supernet."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from mmengine.dist import all_gather, get_world_size
from torch import Tensor
from torch.distributed.nn.functional import all_reduce
from torch.nn import functional as F

from gaia_ssl.errors import UserError
from gaia_ssl.models.algorithms.queue import add_queue, enqueue
from gaia_ssl.models.algorithms.supernet import Supernet, Targets
from gaia_ssl.models.backbones.bottleneck_resnet import STAGES
from gaia_ssl.models.relations import pool_to, smaller_grid
from gaia_ssl.models.teachers import FrozenTeacher
from gaia_ssl.registry import MODELS
from gaia_ssl.space.cost import feature_sizes


@MODELS.register_module()
class SupernetDistill(Supernet):
    """Each arch learns from a frozen network of any kind, which is shown the same view, once a step.

    What is learnt of it, :class:`gaia_ssl.models.heads.DistillHead` says. The neck is one linear layer, which predicts the
    teacher's pooled feature; predictions and features are compared less their means over the joint batch. The student's EMA
    at the max arch is kept for the search. Of several views an image, each is learnt from.

    Args:
        teacher: The frozen network, see :class:`gaia_ssl.models.teachers.FrozenTeacher`. It is read where it is needed: a
            search that compares with the max arch does without its file.
        feat_dim: Length of the teacher's pooled feature.
        queue_len: Features in the queue, for the head's loss of that name.
        teacher_momentum: Of the EMA.
        **kwargs: As in :class:`Supernet`. The neck is mmpretrain's ``LinearNeck``; its ``out_channels`` is ``feat_dim``.

    Example::

        model = dict(
            type='gaia_ssl.SupernetDistill', feat_dim=2048,
            teacher=dict(type='gaia_ssl.PretrainedResNet', checkpoint='resnet50.pth'))
    """

    centres_embeddings = True

    def __init__(self, *args: Any, teacher: Mapping[str, Any], feat_dim: int, neck: dict, queue_len: int = 4096,
                 teacher_momentum: float = 0.99, **kwargs: Any) -> None:
        super().__init__(*args, neck=dict(neck, out_channels=feat_dim), teacher_momentum=teacher_momentum, **kwargs)
        self.frozen_teacher = FrozenTeacher(teacher, self.data_preprocessor)
        self.feat_dim = feat_dim
        stages = self.head.relation_stages
        self.backbone.out_indices = tuple(sorted({*map(STAGES.index, stages), len(STAGES) - 1}))
        if self.head.weights['queue']:
            add_queue(self, 'queue', feat_dim, queue_len)

    def prepare_training(self, example: Callable[[], Any]) -> None:
        """Read the teacher, and try it on a view.

        Raises:
            UserError: If it cannot be read, its features are not ``feat_dim`` long, or they do not suit the losses.
        """
        view = self._views(example())[0]
        features = self.frozen_teacher(view)
        if features.pooled.size(1) != self.feat_dim:
            raise UserError(f"feat_dim is {self.feat_dim}, but the teacher's features have {features.pooled.size(1)}; set "
                            f'model.feat_dim={features.pooled.size(1)}')
        height, width = view.shape[2:]
        for stage in self.head.relation_stages:
            own, theirs = self._grid(stage, view), tuple(features.map_of(stage).shape[2:])
            if min(smaller_grid(theirs, own)) < 2 or theirs[0] > height or theirs[1] > width:
                raise UserError(f'views of {height}x{width} px are too small for relations: {stage} has {own[0]}x{own[1]} '
                                f"positions and the teacher's map {theirs[0]}x{theirs[1]}; use larger views, or leave "
                                'relations at 0')

    def frozen_features(self, images: Tensor, names: Iterable[str]) -> dict[str, Tensor]:
        """What the frozen teacher has for a search to compare subnets with.

        Args:
            images: ``(N, 3, H, W)``, normalised.
            names: Of ``c2`` … ``c5``, whose maps come on the student's grid or, where it is coarser, the teacher's own; and
                ``z`` and ``gap``, the pooled features.

        Raises:
            UserError: If the teacher has no map.
        """
        features = self.frozen_teacher(images)
        found = {}
        for name in names:
            if name in ('z', 'gap'):
                found[name] = features.pooled
            else:
                maps = features.map_of(name)
                found[name] = pool_to(maps, smaller_grid(maps.shape[2:], self._grid(name, images)))
        return found

    @torch.no_grad()
    def teach(self, views: list[Tensor]) -> Targets:
        """Of all views: ``pooled`` features ``(N, D)``, centred over the joint batch; for the queue those of all processes,
        unit ``all_keys`` ``(W * N, D)``; and a map ``(N, C, H, W)`` for each of the head's relation stages."""
        features = self.frozen_teacher(torch.cat(views))
        targets = dict(pooled=centred(features.pooled))
        if self.head.weights['queue']:
            by_process = torch.stack(all_gather(targets['pooled'])).unflatten(1, (len(views), -1))
            targets['all_keys'] = F.normalize(by_process.transpose(0, 1).flatten(0, 2), dim=1)  # as one process has them
        return targets | {stage: features.map_of(stage) for stage in self.head.relation_stages}

    def loss(self, views: list[Tensor], targets: Targets) -> Tensor:
        """The head's loss of all views."""
        maps = self.backbone(torch.cat(views))
        named = {STAGES[index]: each for index, each in zip(self.backbone.out_indices, maps, strict=True)}
        prediction = centred(self.neck(maps)[0].float())
        return self.head.loss(prediction, named, targets, getattr(self, 'queue', None))

    def finish_step(self, targets: Targets) -> None:
        """The step's features enter the queue, if there is one."""
        if self.head.weights['queue']:
            enqueue(self.queue, self.queue_ptr, targets['all_keys'])

    def _grid(self, stage: str, images: Tensor) -> tuple[int, int]:
        """``(height, width)`` of the student's map."""
        sizes = feature_sizes(tuple(images.shape[2:]), self.backbone.stem_kernel)
        return sizes[STAGES.index(stage) - len(STAGES)]


def centred(features: Tensor) -> Tensor:
    """``(N, D)`` of this process less the mean over the joint batch."""
    world = get_world_size()
    total = features.sum(dim=0)
    return features - (total if world == 1 else all_reduce(total)) / (world * len(features))
