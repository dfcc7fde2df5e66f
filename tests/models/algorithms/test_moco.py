import copy

import numpy as np
import pytest
import torch

from gaia_ssl import Arch
from gaia_ssl.errors import UserError
from gaia_ssl.registry import MODELS
from tests.models.algorithms.helpers import (
    HEAD,
    NECK,
    PREPROCESSOR,
    TEMPERATURE,
    batch,
    build_moco,
    normalised,
    sgd,
    student_parameters,
    teacher_keys,
)


def test_the_loss_in_numpy(tiny_space):
    model = build_moco(tiny_space, queue_len=10)
    model.backbone.set_arch(Arch.parse('4-8x1-8x2-16x2-12x1'))
    views = normalised(batch(5)['inputs'])
    targets = model.teach(views)
    with torch.no_grad():
        loss = float(model.loss(views, targets))
        queries, keys, queue = model.embed_student(views[0]).numpy(), targets['keys'].numpy(), model.queue.numpy()
    queries = queries / np.sqrt((queries**2).sum(1, keepdims=True))
    each = []
    for query, key in zip(queries.astype(np.float64), keys, strict=True):
        scores = np.exp(np.array([query @ key, *(query @ negative for negative in queue.T)]) / TEMPERATURE)
        each.append(-np.log(scores[0] / scores.sum()))
    assert loss == pytest.approx(np.mean(each), rel=1e-5)


@pytest.mark.parametrize('share', [0.5, 1.])
def test_the_soft_loss_of_a_subnet_in_numpy(tiny_space, share):
    model = build_moco(tiny_space, queue_len=10, soft_targets=share, soft_temperatures=(0.3, 0.07))
    model.backbone.set_arch(Arch.parse('4-8x1-8x2-16x2-12x1'))
    views = normalised(batch(5)['inputs'])
    targets = model.teach(views)
    with torch.no_grad():
        loss = float(model.loss(views, targets))
        queries = torch.nn.functional.normalize(model.embed_student(views[0]), dim=1)
        hard = float(model.info_nce(queries, targets['keys']))
    queries, keys, queue = (values.double().numpy() for values in (queries, targets['keys'], model.queue))
    student, teacher = np.exp(queries @ queue / 0.3), np.exp(keys @ queue / 0.07)
    student, teacher = (scores / scores.sum(1, keepdims=True) for scores in (student, teacher))
    soft = -(teacher * np.log(student)).sum(1).mean()
    assert loss == pytest.approx((1 - share) * hard + share * soft, rel=1e-5)


def test_soft_targets_leave_the_max_arch_to_the_bit(tiny_space):
    losses = []
    for share in (0., 0.5):
        model = build_moco(tiny_space, soft_targets=share)
        wrapper = sgd(model)
        for step in range(2):
            model.set_sandwich(step, dict(max=tiny_space.max))
            losses.append(model.train_step(batch(4, seed=step), wrapper)['loss'])
        losses += student_parameters(model)
    half = len(losses) // 2
    assert all(map(torch.equal, losses[:half], losses[half:]))


def test_soft_targets_are_float32_under_autocast(tiny_space):
    model = build_moco(tiny_space, soft_targets=1.)
    seen = []
    model.soft_head.loss = lambda *relations: seen.extend(relations) or relations[0].mean()
    model.backbone.set_arch(tiny_space.min)
    views = normalised(batch(4)['inputs'])
    with torch.autocast('cpu', dtype=torch.bfloat16):
        model.loss(views, model.teach(views))
    assert [each.dtype for each in seen] == [torch.float32] * 2
    torch.testing.assert_close(seen[1], model.teach(views)['keys'] @ model.queue, rtol=0, atol=0.02)


def test_keys_are_the_teachers_of_the_second_view(tiny_space):
    model = build_moco(tiny_space)
    views = normalised(batch(6)['inputs'])
    expected = teacher_keys(model, views[1])
    targets = model.teach(views)
    torch.testing.assert_close(targets['keys'], expected, rtol=1e-5, atol=1e-6)
    assert torch.equal(targets['all_keys'], targets['keys'])
    torch.testing.assert_close(targets['keys'].norm(dim=1), torch.ones(6))


def test_trains_as_mmpretrains_moco(tiny_space):
    """At the max arch alone, plain MoCo: same losses, weights, teacher and queue over several steps."""
    model = build_moco(tiny_space)
    model.teacher['backbone'].load_state_dict(model.backbone.state_dict())
    model.teacher['neck'].load_state_dict(model.neck.state_dict())
    reference = MODELS.build(dict(
        type='mmpretrain.MoCo', queue_len=16, feat_dim=8, momentum=0.1, head=HEAD, data_preprocessor=PREPROCESSOR,
        neck=dict(NECK, in_channels=64),
        backbone=dict(type='gaia_ssl.SubnetResNet', arch=str(tiny_space.max), stem_kernel=3, out_indices=(3, ))))
    reference.backbone.load_state_dict(model.backbone.state_dict())
    reference.neck.load_state_dict(model.neck.state_dict())
    reference.encoder_k.module.load_state_dict(
        {**{f'0.{k}': v for k, v in model.backbone.state_dict().items()},
         **{f'1.{k}': v for k, v in model.neck.state_dict().items()}})
    reference.queue.copy_(model.queue)
    wrappers = sgd(model), sgd(reference)
    for step in range(5):
        model.set_sandwich(step, dict(max=tiny_space.max))
        loss = model.train_step(batch(4, seed=step), wrappers[0])['loss']
        expected = reference.train().train_step(batch(4, seed=step), wrappers[1])['loss']
        assert loss.item() == pytest.approx(expected.item(), rel=1e-4)
    tolerance = dict(rtol=1e-3, atol=1e-4)
    for ours, theirs in [(student_parameters(model), [*reference.backbone.parameters(), *reference.neck.parameters()]),
                         (model.teacher.parameters(), reference.encoder_k.module.parameters())]:
        for one, other in zip(ours, theirs, strict=True):
            torch.testing.assert_close(one, other, **tolerance)
    torch.testing.assert_close(model.queue, reference.queue, **tolerance)
    assert torch.equal(model.queue_ptr, reference.queue_ptr)


def test_any_batch_trains_with_any_queue(tiny_space):
    model = build_moco(tiny_space, queue_len=10)
    optim_wrapper = sgd(model)
    for step, size in enumerate((4, 7, 13)):
        model.set_sandwich(step, dict(max=tiny_space.max))
        model.train_step(batch(size, seed=step), optim_wrapper)
        torch.testing.assert_close(model.queue.norm(dim=0), torch.ones(10))


def test_the_queue_starts_with_unit_keys_and_is_saved(tiny_space):
    model = build_moco(tiny_space)
    torch.testing.assert_close(model.queue.norm(dim=0), torch.ones(16))
    assert {'queue', 'queue_ptr'} <= model.state_dict().keys()


def test_one_view_is_a_user_error(tiny_space):
    with pytest.raises(UserError, match='two views an image are compared, but the pipeline gives 1'):
        build_moco(tiny_space).teach([torch.randn(2, 3, 16, 16)])


def test_splits_hide_the_students_statistics_from_the_keys(tiny_space):
    """With four splits, each pair of eight images is encoded by its own statistics."""
    model = build_moco(tiny_space, bn_splits=4)
    views = normalised(batch(8)['inputs'])
    expected = torch.cat([teacher_keys(copy.deepcopy(model), pair) for pair in views[1].split(2)])
    torch.testing.assert_close(model.teach(views)['keys'], expected, rtol=1e-4, atol=1e-5)
    assert model.backbone.bn1.splits == 1 and model.teacher['backbone'].bn1.splits == 4
