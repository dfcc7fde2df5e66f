import numpy as np
import pytest
import torch
from mmengine.logging import MessageHub

from gaia_ssl import Arch
from gaia_ssl.errors import UserError
from gaia_ssl.registry import MODELS
from tests.models.algorithms.helpers import (
    METHODS,
    PREPROCESSOR,
    batch,
    build_supernet,
    normalised,
    sgd,
    student_parameters,
)

METHOD = 'SupernetBYOL'


def test_the_loss_in_numpy(tiny_space):
    """2 - 2 cos between the prediction for a view and the teacher's embedding of the other, both ways (Eq. 2 of BYOL)."""
    model = build_supernet(METHOD, tiny_space)
    model.backbone.set_arch(Arch.parse('4-8x1-8x2-16x2-12x1'))
    views = normalised(batch(5)['inputs'])
    targets = model.teach(views)
    with torch.no_grad():
        loss = float(model.loss(views, targets))
        predictions = [model.head.predictor((model.embed_student(view), ))[0].numpy() for view in views]
        teacher = [model.embed_teacher(view).numpy() for view in views]

    def distance(a, b):
        return np.mean(2 - 2 * (a * b).sum(1) / np.sqrt((a**2).sum(1) * (b**2).sum(1)))

    expected = distance(predictions[0], teacher[1]) + distance(predictions[1], teacher[0])
    assert loss == pytest.approx(expected, rel=1e-4)


def test_trains_as_mmpretrains_byol(tiny_space):
    """At the max arch alone: the losses, weights and teacher of plain BYOL over its whole momentum schedule.

    mmpretrain doubles the loss, so its learning rate is half.
    """
    steps = 4
    model = build_supernet(METHOD, tiny_space, teacher_momentum=0.9, final_teacher_momentum=1.)
    model.teacher['backbone'].load_state_dict(model.backbone.state_dict())
    model.teacher['neck'].load_state_dict(model.neck.state_dict())
    settings = METHODS[METHOD]
    reference = MODELS.build(dict(
        type='mmpretrain.BYOL', base_momentum=0.1, data_preprocessor=PREPROCESSOR, head=settings['head'],
        neck=dict(settings['neck'], in_channels=64),
        backbone=dict(type='gaia_ssl.SubnetResNet', arch=str(tiny_space.max), stem_kernel=3, out_indices=(3, ))))
    reference.backbone.load_state_dict(model.backbone.state_dict())
    reference.neck.load_state_dict(model.neck.state_dict())
    reference.head.load_state_dict(model.head.state_dict())
    reference.target_net.module.load_state_dict(
        {**{f'0.{k}': v for k, v in model.backbone.state_dict().items()},
         **{f'1.{k}': v for k, v in model.neck.state_dict().items()}})
    MessageHub.get_current_instance().update_info('max_iters', steps)
    model.double(), reference.double().train()  # so that agreement is no accident of rounding
    wrappers = sgd(model, lr=0.05), sgd(reference, lr=0.025)
    for step in range(steps):
        model.set_sandwich(step, dict(max=tiny_space.max), progress=step / steps)
        loss = model.train_step(batch(4, seed=step), wrappers[0])['loss']
        expected = reference.train_step(batch(4, seed=step), wrappers[1])['loss']
        # The first update of mmpretrain's average copies, which is ours where teacher and student are equal.
        assert loss.item() == pytest.approx(expected.item() / 2, rel=1e-9)
    for ours, theirs in [(student_parameters(model), [*reference.backbone.parameters(), *reference.neck.parameters()]),
                         (model.head.parameters(), reference.head.parameters()),
                         (model.teacher.parameters(), reference.target_net.module.parameters())]:
        for one, other in zip(ours, theirs, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-7, atol=1e-9)


def test_the_momentum_rises_to_one_on_a_cosine(tiny_space):
    model = build_supernet(METHOD, tiny_space, teacher_momentum=0.99)
    momenta = []
    for progress in (0., 0.25, 0.5, 0.75, 1.):
        model.set_sandwich(0, dict(max=tiny_space.max), progress=progress)
        momenta.append(model.teacher_momentum)
    assert momenta == pytest.approx([0.99, 1 - 0.01 * (1 + 0.5**0.5) / 2, 0.995, 1 - 0.01 * (1 - 0.5**0.5) / 2, 1.])


def test_the_predictor_learns_and_has_no_teacher(tiny_space):
    model = build_supernet(METHOD, tiny_space)
    before = [parameter.clone() for parameter in model.head.parameters()]
    model.set_sandwich(0, dict(random_1=tiny_space.min, max=tiny_space.max))
    model.train_step(batch(4), sgd(model))
    moved = [not torch.equal(old, new) for old, new in zip(before, model.head.parameters(), strict=True)]
    assert before and all(moved)
    assert len(list(model.teacher.parameters())) == len(student_parameters(model))


def test_one_view_is_a_user_error(tiny_space):
    with pytest.raises(UserError, match='the pipeline gives 1'):
        build_supernet(METHOD, tiny_space).teach([torch.randn(2, 3, 16, 16)])
