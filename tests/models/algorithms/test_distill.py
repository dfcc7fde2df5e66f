import copy

import numpy as np
import pytest
import torch

from gaia_ssl import Arch
from gaia_ssl.engine import AutocastOptimWrapper
from gaia_ssl.errors import UserError
from gaia_ssl.models import SubnetResNet, extract_subnet
from gaia_ssl.models.supernet_meta import student_backbone, supernet_meta
from gaia_ssl.space import SandwichSampler
from tests import tiny
from tests.models.algorithms.helpers import (
    assert_gradients_close,
    batch,
    build_supernet,
    distilled,
    normalised,
    record_gradients,
    sgd,
    student_parameters,
    teacher,
    total,
)
from tests.search.measures.test_paper import by_hand

METHOD, ARCH = 'SupernetDistill', Arch.parse('4-8x1-8x2-16x2-12x1')
ONLY = dict(regression=dict(queue=0., relations=0.), queue=dict(regression=0., queue=1., relations=0.),
            relations=dict(regression=0., queue=0., relations=1., relation_stages=['c4', 'c5']))
"""Each loss alone."""


def build(space, teacher_config: dict | None = None, **head):
    settings = distilled(**head)
    return build_supernet(METHOD, space, **{**settings, 'teacher': teacher_config or settings['teacher']})


def train(model, steps: int = 1, side: int = 16, first: int = 0, wrapper=None) -> list[dict]:
    optim_wrapper, sampler, logs = wrapper or sgd(model), SandwichSampler(model.backbone.space, seed=7), []
    for iteration in range(first, first + steps):
        model.set_sandwich(iteration, sampler.sample(iteration))
        data = batch(4, seed=iteration, side=side)
        logs.append(model.train_step(dict(data, inputs=data['inputs'][:1]), optim_wrapper))
    return logs


def frozen_maps(images: torch.Tensor) -> list[torch.Tensor]:
    """What the teacher's own file says of normalised images."""
    network = SubnetResNet('8-8x1-12x1-8x2-16x1', stem_kernel=3)
    network.load_state_dict(torch.load(teacher()['checkpoint'], weights_only=True))
    with torch.no_grad():
        return list(network.eval()(images))


def unit_centred(features: np.ndarray) -> np.ndarray:
    features = features - features.mean(0)
    return features / np.sqrt((features**2).sum(1, keepdims=True))


def softmax(scores: np.ndarray) -> np.ndarray:
    scores = np.exp(scores - scores.max(1, keepdims=True))
    return scores / scores.sum(1, keepdims=True)


def by_static_twin(model, images: torch.Tensor) -> tuple[list[torch.Tensor], np.ndarray]:
    """The student's maps at ARCH and its prediction, unit and centred, from plain layers."""
    twin = extract_subnet(model.backbone, ARCH).train()
    with torch.no_grad():
        maps = list(twin(images))
    pooled = maps[-1].mean((2, 3)).double().numpy()
    weight, bias = (p.detach().double().numpy() for p in (model.neck.fc.weight, model.neck.fc.bias))
    return maps, unit_centred(pooled @ weight[:, :pooled.shape[1]].T + bias)


@pytest.mark.parametrize('name', ONLY)
def test_each_loss_in_numpy(tiny_space, name):
    model = build(tiny_space, **ONLY[name])
    model.backbone.set_arch(ARCH)
    images = normalised(batch(5, side=24)['inputs'])[0]
    maps, prediction = by_static_twin(model, images)
    frozen = frozen_maps(images)
    target = unit_centred(frozen[-1].mean((2, 3)).double().numpy())
    if name == 'regression':
        expected = 1 - (prediction * target).sum(1).mean()
    elif name == 'queue':
        queue = model.queue.double().numpy()
        student, theirs = (np.c_[(each * target).sum(1), each @ queue] for each in (prediction, target))
        expected = -(softmax(theirs / 0.07) * np.log(softmax(student / 0.2))).sum(1).mean()
    else:
        expected = -np.mean([by_hand(maps[stage], frozen[stage], 0.2) for stage in (2, 3)])
    with torch.no_grad():
        targets = model.teach([images])
        assert float(model.loss([images], targets)) == pytest.approx(expected, rel=1e-4)


def test_losses_are_weighted(tiny_space):
    images, model, losses = normalised(batch(5)['inputs'])[:1], build(tiny_space), []
    targets = model.teach(images)
    for weights in ((1, 0, 0), (0, 1, 0), (0, 0, 1), (0.5, 2, 3)):
        model.head.weights = dict(zip(('regression', 'queue', 'relations'), weights, strict=True))
        losses.append(float(model.loss(images, targets)))
    assert losses[3] == pytest.approx(np.dot((0.5, 2, 3), losses[:3]), rel=1e-5)


def test_the_gradient_is_the_sum_over_the_archs(tiny_space):
    model = build(tiny_space)
    before = copy.deepcopy(model)
    gradients = record_gradients(model, optim_wrapper := sgd(model))
    log, = train(model, wrapper=optim_wrapper)
    separate, losses = [], []
    for arch in model.sandwich.values():
        alone = copy.deepcopy(before)
        alone.backbone.set_arch(arch)
        views = normalised(batch(4)['inputs'])[:1]
        loss = alone.loss(views, alone.teach(views))
        loss.backward()
        losses.append(loss.item())
        separate.append({name: torch.zeros_like(p) if p.grad is None else p.grad
                         for name, p in alone.named_parameters() if p.requires_grad})
    assert_gradients_close(gradients[0], total(separate), rtol=1e-4)
    assert [value.item() for value in log.values()] == pytest.approx([sum(losses), *losses], rel=1e-5)


def test_the_teacher_runs_once_a_step_and_never_changes(tiny_space, monkeypatch):
    model = build(tiny_space)
    train(model)
    network = model.frozen_teacher._hidden['network']
    before, calls = copy.deepcopy(network.state_dict()), []
    network.register_forward_hook(lambda *_: calls.append(torch.is_grad_enabled()))
    optim_wrapper = sgd(model)
    model.train()
    train(model, steps=3, first=1, wrapper=optim_wrapper)
    assert calls == [False] * 3
    assert tiny.equal(network.state_dict(), before)
    assert int(model.queue_ptr) == 16 % model.queue.size(1)


def test_of_the_teacher_only_the_fingerprint_is_kept(tiny_space):
    model = build(tiny_space)
    assert model.frozen_teacher.fingerprint is None
    train(model)
    frozen = [name for name in model.state_dict() if name.startswith('frozen')]
    assert frozen == ['frozen_teacher.sha256']
    assert not any(name.startswith('frozen') for name, _ in model.named_parameters())
    meta = supernet_meta(model)
    assert meta['method'] == METHOD and meta['teacher'] == dict(config=teacher(), sha256=model.frozen_teacher.fingerprint)
    assert len(meta['teacher']['sha256']) == 64
    backbone = student_backbone(dict(state_dict=model.state_dict(), meta=dict(gaia_ssl=meta)), 'a.pth')
    images = torch.randn(2, 3, 16, 16)
    model.backbone.set_arch(tiny_space.max)
    assert torch.equal(backbone(images)[-1], model.eval().backbone(images)[-1])


def test_the_ema_at_max_follows_the_student(tiny_space):
    model = build(tiny_space)
    train(model)
    ema = [value.double().clone() for value in model.teacher.parameters()]
    student = [value.detach().double().clone() for value in student_parameters(model)]
    train(model, first=1)
    for new, old, taught in zip(model.teacher.parameters(), ema, student, strict=True):
        torch.testing.assert_close(new.double(), 0.9 * old + 0.1 * taught, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize('read_first', [True, False])
def test_another_teacher_is_refused(tiny_space, tmp_path, read_first):
    model = build(tiny_space)
    train(model)
    other = build(tiny_space, tiny.save_teacher(tmp_path / 'other.pth', seed=1))
    if read_first:
        other.frozen_teacher.load()
    with pytest.raises(UserError, match=r'other.pth is not the one that the supernet was trained with \(.* and .*\)'):
        other.load_state_dict(model.state_dict())
        other.frozen_teacher.load()
    same = build(tiny_space, tiny.save_teacher(tmp_path / 'moved.pth'))
    same.load_state_dict(model.state_dict())
    same.frozen_teacher.load()


def test_every_view_is_learnt_from(tiny_space):
    model = build(tiny_space, **ONLY['regression'])
    views = normalised(batch(3)['inputs'])
    with torch.no_grad():
        apart = model.loss(views, model.teach(views))
        together = model.loss([torch.cat(views)], model.teach([torch.cat(views)]))
    assert torch.equal(apart, together)


def test_images_without_views_are_one_view(tiny_space):
    model, optim_wrapper = build(tiny_space), sgd(build(tiny_space))
    model.set_sandwich(0, dict(max=tiny_space.max))
    data = batch(4)
    log = model.train_step(dict(data, inputs=data['inputs'][0]), optim_wrapper)
    assert log['loss'].isfinite()


def test_autocast(tiny_space):
    model = build(tiny_space)
    exact, = train(copy.deepcopy(model))
    rough, = train(model, wrapper=sgd(model, wrapper=AutocastOptimWrapper))
    assert rough['loss'].item() == pytest.approx(exact['loss'].item(), rel=0.1)
    assert rough['loss'] != exact['loss'] and model.queue.dtype == torch.float32


def example(side: int = 16) -> dict:
    return dict(inputs=[torch.rand(1, 3, side, side) * 255], data_samples=[None])


def test_a_teacher_that_suits_is_read_before_training(tiny_space):
    model = build(tiny_space)
    model.prepare_training(example)
    assert model.frozen_teacher.fingerprint


def vit(tmp_path, out_type: str = 'raw', patch: int = 4) -> dict:
    """The config of a vision transformer with random weights, features 32 long, on images of 16 px."""
    from mmpretrain.models import VisionTransformer
    settings = dict(arch=dict(embed_dims=32, num_layers=2, num_heads=2, feedforward_channels=32), img_size=16,
                    patch_size=patch)
    network = VisionTransformer(**settings, out_type=out_type)
    network.init_weights()
    torch.save(network.state_dict(), tmp_path / 'vit.pth')
    return dict(settings, type='mmpretrain.VisionTransformer', checkpoint=str(tmp_path / 'vit.pth'))


@pytest.mark.parametrize('change, side, match', [
    (dict(feat_dim=32), 16, "feat_dim is 32, but the teacher's features have 64; set model.feat_dim=64"),
    (dict(), 8, r"views of 8x8 px are too small for relations: c5 has 1x1 positions and the teacher's map 1x1"),
    (dict(teacher=dict(type='gaia_ssl.PretrainedResNet', checkpoint='none.pth')), 16, 'none.pth'),
])
def test_what_does_not_suit_is_told_before_training(tiny_space, change, side, match):
    model = build_supernet(METHOD, tiny_space, **{**distilled(), **change})
    with pytest.raises(UserError, match=match) as info:
        model.prepare_training(lambda: example(side))
    assert '\n' not in str(info.value)


def test_relations_need_positions_and_views_that_hold_the_grid(tiny_space, tmp_path):
    settings = dict(distilled(), feat_dim=32)
    vectors = build_supernet(METHOD, tiny_space, **dict(settings, teacher=dict(vit(tmp_path), out_type='cls_token')))
    with pytest.raises(UserError, match='hold no positions'):
        vectors.prepare_training(example)
    enlarged = build_supernet(METHOD, tiny_space, **dict(settings, teacher=dict(vit(tmp_path), size=80)))
    enlarged.prepare_training(lambda: example(24))
    with pytest.raises(UserError, match="too small for relations: c5 has 2x2 positions and the teacher's map 20x20"):
        enlarged.prepare_training(example)


def test_a_vision_transformers_patches_meet_the_students_positions(tiny_space, tmp_path):
    """A grid of 5x5 at 20 px and the student's 3x3: averages over those of the finer that a cell of the coarser covers."""
    model = build_supernet(METHOD, tiny_space, **dict(
        distilled(**ONLY['relations']), feat_dim=32, teacher=vit(tmp_path)))
    images = normalised(batch(3, side=20)['inputs'])[0]
    model.backbone.set_arch(ARCH)
    maps, _ = by_static_twin(model, images)
    network = model.frozen_teacher
    network.load()
    with torch.no_grad():
        tokens = network._hidden['network'](images)[-1]
        actual = float(model.loss([images], model.teach([images])))
    patches = tokens[:, 1:].reshape(3, 5, 5, 32).permute(0, 3, 1, 2)
    coarse = torch.empty(3, 32, 3, 3)
    cells = [slice(0, 2), slice(1, 4), slice(3, 5)]
    for row, rows in enumerate(cells):
        for column, columns in enumerate(cells):
            coarse[:, :, row, column] = patches[:, :, rows, columns].mean((2, 3))
    assert maps[2].shape[2:] == (5, 5) and maps[3].shape[2:] == (3, 3)
    expected = -np.mean([by_hand(maps[2], patches, 0.2), by_hand(maps[3], coarse, 0.2)])
    assert actual == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize('head, match', [
    (dict(regression=-1.), 'weights of the losses are regression -1.0, '),
    (dict(regression=0., queue=0., relations=0.), 'not all 0'),
    (dict(relation_stages=['c6']), r"relation_stages is \['c6'\]; choose from c2, c3, c4, c5"),
    (dict(relation_temperature=0.), 'relation_temperature is 0.0'),
])
def test_bad_settings_of_the_head(tiny_space, head, match):
    with pytest.raises(UserError, match=match):
        build(tiny_space, **head)
