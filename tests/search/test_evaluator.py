import numpy as np
import pytest
import torch

from gaia_ssl import Arch
from gaia_ssl.models import extract_subnet
from gaia_ssl.search import ForwardEvaluator
from gaia_ssl.search.task import quantities_of
from tests import tiny
from tests.search.measures.test_paper import by_hand

FEATURES = quantities_of(['c2-c5', 'z'], 'paper')
OFF_GRID = Arch.parse('5-6x2-7x1-9x1-13x1')


def by_static_twins(model, images, archs) -> np.ndarray:
    """Scores from networks cut out of the supernet, in training mode, and NumPy's similarities."""
    def features(backbone, arch, neck):
        twin = extract_subnet(backbone, arch).train()
        with torch.no_grad():
            maps = twin(images)
            pooled = maps[-1].mean(dim=(2, 3))
            first, relu, last = neck.mlp
            hidden = relu(torch.nn.functional.linear(pooled, first.weight[:, :pooled.size(1)], first.bias))
            return [*maps, last(hidden)]

    backbone = model.teacher['backbone']
    teacher = features(backbone, model.backbone.space.max, model.teacher['neck'])
    scores = []
    for arch in archs:
        *maps, z = features(model.backbone, arch, model.neck)
        cosine = torch.nn.functional.normalize(z.double()) * torch.nn.functional.normalize(teacher[-1].double())
        scores.append([*(by_hand(s, t, 0.2) for s, t in zip(maps, teacher, strict=False)), cosine.sum(1).numpy()])
    return np.array(scores)


def test_scores_equal_those_of_static_twins():
    model, images = tiny.supernet(), tiny.images(5)
    archs = [tiny.SPACE.min, tiny.SPACE[11], OFF_GRID, tiny.SPACE.max]
    actual = ForwardEvaluator(model, FEATURES).score(images, archs)
    assert actual.shape == (4, 5, 5) and actual.dtype == torch.float32
    expected = by_static_twins(model, images, archs)
    assert expected[:, :-1].max() < -1e-3
    np.testing.assert_allclose(actual.numpy(), expected, rtol=1e-3, atol=1e-5)


def test_features_and_temperature_are_what_was_asked_for():
    model, images, archs = tiny.supernet(), tiny.images(4), [tiny.SPACE[3]]
    every = ForwardEvaluator(model, FEATURES).score(images, archs)
    some = ForwardEvaluator(model, ('c4', 'z')).score(images, archs)
    assert torch.equal(some, every[:, [2, 4]])
    warm = ForwardEvaluator(model, ('c4', ), temperature=1.0).score(images, archs)
    assert (warm[:, 0].abs() < every[:, 2].abs()).all()


def test_the_teacher_itself_scores_best():
    model = tiny.supernet()
    model.backbone.load_state_dict(model.teacher['backbone'].state_dict())
    model.neck.load_state_dict(model.teacher['neck'].state_dict())
    scores = ForwardEvaluator(model, FEATURES).score(tiny.images(4), [tiny.SPACE.min, tiny.SPACE.max])
    torch.testing.assert_close(scores[1], torch.tensor([0.0] * 4 + [1.0])[:, None].expand(5, 4), rtol=0, atol=1e-5)
    assert (scores[0] < scores[1] - 1e-4).all()


def test_the_teacher_runs_once_a_batch():
    model = tiny.supernet()
    runs = dict(teacher=0, teacher_neck=0, student=0)

    def count(name):
        def hook(*_):
            runs[name] += 1
        return hook

    model.teacher['backbone'].register_forward_hook(count('teacher'))
    model.teacher['neck'].register_forward_hook(count('teacher_neck'))
    model.backbone.register_forward_hook(count('student'))
    evaluator = ForwardEvaluator(model, FEATURES)
    for seed in range(2):
        evaluator.score(tiny.images(2, seed), [tiny.SPACE[i] for i in range(5)])
    assert runs == dict(teacher=2, teacher_neck=2, student=10)


@pytest.mark.parametrize('training', [True, False])
def test_nothing_of_the_model_changes(training):
    model = tiny.supernet().train(training)
    model.neck.eval()
    flags = [module.training for module in model.modules()]
    state = {name: value.clone() for name, value in model.state_dict().items()}
    out_indices = model.backbone.out_indices
    ForwardEvaluator(model, FEATURES).score(tiny.images(4), [tiny.SPACE[3], tiny.SPACE.max])
    assert [module.training for module in model.modules()] == flags
    assert tiny.equal(dict(model.state_dict()), state)
    assert any('running_mean' in name for name in state)
    assert model.backbone.out_indices == out_indices
    assert all(value.grad is None for value in model.parameters())


def test_running_statistics_are_not_used():
    model, images, archs = tiny.supernet(), tiny.images(4), [tiny.SPACE[3]]
    before = ForwardEvaluator(model, FEATURES).score(images, archs)
    for name, value in model.named_buffers():
        if 'running' in name:
            value.fill_(7)
    assert torch.equal(ForwardEvaluator(model, FEATURES).score(images, archs), before)


def test_bfloat16_scores_resemble_float32_scores():
    model, images = tiny.supernet(), tiny.images(8)
    archs = [tiny.SPACE[i] for i in range(0, 32, 5)]
    exact = ForwardEvaluator(model, FEATURES).score(images, archs)
    rough = ForwardEvaluator(model, FEATURES, dtype=torch.bfloat16).score(images, archs)
    assert rough.dtype == torch.float32 and not torch.equal(rough, exact)
    torch.testing.assert_close(rough, exact, rtol=0.1, atol=0.05)
