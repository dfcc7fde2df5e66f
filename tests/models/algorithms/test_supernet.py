import copy

import pytest
import torch
from mmengine.optim import OptimWrapper

from gaia_ssl import Arch
from gaia_ssl.engine import AutocastOptimWrapper
from gaia_ssl.errors import UserError
from gaia_ssl.models.backbones.bottleneck_resnet import Bottleneck
from gaia_ssl.registry import MODELS
from gaia_ssl.space import SandwichSampler
from tests.models.algorithms.helpers import (
    HEAD,
    METHODS,
    NECK,
    assert_gradients_close,
    batch,
    build_moco,
    build_supernet,
    normalised,
    record_gradients,
    reference_gradient,
    sgd,
    student_parameters,
    teacher_keys,
    total,
)


@pytest.fixture
def model(tiny_space):
    return build_moco(tiny_space)


def train(model, optim_wrapper, steps: int = 1, size: int = 4, first: int = 0,
          sandwich: str = 'random+random+max', weights: dict | None = None) -> list[dict]:
    """Some iterations as SandwichSamplerHook and mmengine's loop make them."""
    sampler = SandwichSampler(model.backbone.space, sandwich, seed=7)
    logs = []
    for iteration in range(first, first + steps):
        model.set_sandwich(iteration, sampler.sample(iteration), weights=weights)
        logs.append(model.train_step(batch(size, seed=iteration), optim_wrapper))
    return logs


def spy(monkeypatch, owner, name: str, note=lambda *args: None) -> list:
    """What ``note`` makes of each call of a method, before the call."""
    calls, method = [], getattr(owner, name)

    def called(*args, **kwargs):
        calls.append(note(*args))
        return method(*args, **kwargs)

    monkeypatch.setattr(owner, name, called)
    return calls


def copies(parameters) -> list[torch.Tensor]:
    return [parameter.detach().clone() for parameter in parameters]


@pytest.mark.parametrize('soft_targets', [0., 0.5])
def test_a_step_teaches_once_and_moves_the_queue_once(tiny_space, monkeypatch, soft_targets):
    model = build_moco(tiny_space, soft_targets=soft_targets)
    optim_wrapper = sgd(model)
    backbone, neck, arch = [], [], []
    model.teacher['backbone'].register_forward_hook(lambda *_: backbone.append(model.teacher['backbone'].arch))
    model.teacher['neck'].register_forward_hook(lambda *_: neck.append(1))
    model.backbone.register_forward_hook(lambda *_: arch.append(model.backbone.arch))
    ema = spy(monkeypatch, torch, '_foreach_lerp_')
    enqueued = spy(monkeypatch, model, 'finish_step', lambda targets: len(targets['all_keys']))
    optimized = spy(monkeypatch, optim_wrapper.optimizer, 'step')
    for step in range(1, 4):
        train(model, optim_wrapper, first=step)
        assert len(backbone) == len(neck) == len(enqueued) == len(optimized) == len(ema) == step
        assert arch[-3:] == list(model.sandwich.values()) and len(arch) == 3 * step
    assert backbone == [model.backbone.space.max] * 3
    assert int(model.queue_ptr) == 12


def test_the_order_of_a_step(model, monkeypatch):
    """EMA, keys, each arch's loss and backward, the optimizer, the queue."""
    order = []
    for owner, name in [(model, 'update_teacher'), (model, 'teach'), (model, 'loss'), (torch.Tensor, 'backward'),
                        (model, 'finish_step')]:
        spy(monkeypatch, owner, name, lambda *_, name=name: order.append(name))
    optim_wrapper = sgd(model)
    optim_wrapper.optimizer.register_step_pre_hook(lambda *_: order.append('step'))
    train(model, optim_wrapper)
    assert order == ['update_teacher', 'teach', *['loss', 'backward'] * 3, 'step', 'finish_step']


@pytest.mark.parametrize('sandwich, weights', [
    ('random+random+max', {}),
    ('min+random+max', {}),
    ('max', {}),
    ('random+random+max', dict(random_1=0.5, max=2.5)),
])
def test_the_gradient_is_the_sum_over_the_archs(model, sandwich, weights):
    """Each arch's gradient is computed by a static network of plain layers."""
    before = copy.deepcopy(model)
    optim_wrapper = sgd(model)
    gradients = record_gradients(model, optim_wrapper)
    log, = train(model, optim_wrapper, sandwich=sandwich, weights=weights)
    before.update_teacher()
    student_view, teacher_view = normalised(batch(4)['inputs'])
    keys = teacher_keys(before, teacher_view)
    losses, separate = zip(*(reference_gradient(before, arch, student_view, keys, before.queue)
                             for arch in model.sandwich.values()), strict=True)
    shares = [weights.get(name, 1.) for name in model.sandwich]
    scaled = [{name: share * value for name, value in each.items()} for share, each in zip(shares, separate, strict=True)]
    assert_gradients_close(gradients[0], total(scaled))
    assert list(log) == ['loss', *(f'loss_{name}' for name in model.sandwich)]
    summed = sum(share * loss for share, loss in zip(shares, losses, strict=True))
    assert [value.item() for value in log.values()] == pytest.approx([summed, *losses], rel=1e-5)
    assert not any(value.requires_grad for value in log.values())


@pytest.mark.parametrize('teacher', ['max', 'same'])
@pytest.mark.parametrize('method', METHODS)
def test_every_methods_gradient_is_the_sum_over_the_archs(tiny_space, method, teacher):
    """Each arch alone, on a copy, from the teacher at the max arch or at the student's own."""
    model = build_supernet(method, tiny_space, teacher=teacher)
    if method == 'SupernetBYOL':
        model.double()  # batch norm of four embeddings makes much of rounding
    before = copy.deepcopy(model)
    gradients = record_gradients(model, optim_wrapper := sgd(model))
    log, = train(model, optim_wrapper)
    before.update_teacher()
    separate, losses = [], []
    for arch in model.sandwich.values():
        alone = copy.deepcopy(before)
        alone.backbone.set_arch(arch)
        alone.teacher['backbone'].set_arch(arch if teacher == 'same' else tiny_space.max)
        views = [view.to(next(alone.parameters()).dtype) for view in normalised(batch(4)['inputs'])]
        loss = alone.loss(views, alone.teach(views))
        loss.backward()
        losses.append(loss.item())
        separate.append({name: torch.zeros_like(p) if p.grad is None else p.grad
                         for name, p in alone.named_parameters() if p.requires_grad})
    assert_gradients_close(gradients[0], total(separate))
    assert [value.item() for value in log.values()] == pytest.approx([sum(losses), *losses], rel=1e-5)


@pytest.mark.parametrize('method', [*METHODS, 'SupernetDistill'])
def test_a_loaded_model_goes_on_as_the_one_that_was_saved(tiny_space, method):
    """Also the EMA update, which belongs to the step after the one that moved the student."""
    whole, part = build_supernet(method, tiny_space), build_supernet(method, tiny_space)
    train(whole, sgd(whole), steps=4)
    train(part, sgd(part), steps=2)
    resumed = build_supernet(method, tiny_space, seed=1)
    resumed.load_state_dict(part.state_dict())
    train(resumed, sgd(resumed), steps=2, first=2)
    for name, value in whole.state_dict().items():
        assert torch.equal(resumed.state_dict()[name], value), name


def test_a_teacher_of_the_same_arch_encodes_once_an_arch(tiny_space, monkeypatch):
    model = build_moco(tiny_space, teacher='same')
    taught = []
    model.teacher['backbone'].register_forward_hook(lambda *_: taught.append(model.teacher['backbone'].arch))
    train(model, sgd(model))
    assert taught == list(model.sandwich.values())
    assert model.teacher['backbone'].arch == tiny_space.max


def test_the_queue_of_same_arch_teachers_holds_each_image_once_and_every_arch(tiny_space, monkeypatch):
    model = build_moco(tiny_space, teacher='same')
    taught, teach = [], model.teach
    monkeypatch.setattr(model, 'teach', lambda views: taught.append(teach(views)) or taught[-1])
    train(model, sgd(model), size=5)
    expected = torch.stack([taught[image % 3]['all_keys'][image] for image in range(5)])
    assert torch.equal(model.queue[:, :5], expected.T) and int(model.queue_ptr) == 5


def test_all_archs_meet_the_same_queue_without_this_steps_keys(model, monkeypatch):
    queues = spy(monkeypatch, model, 'loss', lambda views, targets: (model.queue.clone(), targets['keys'].clone()))
    optim_wrapper = sgd(model)
    for step in range(3):
        before = model.queue.clone()
        train(model, optim_wrapper, first=step)
        for queue, keys in queues[-3:]:
            assert torch.equal(queue, before)
            assert torch.equal(keys, queues[-1][1])
            assert float((keys @ queue).max()) < 1 - 1e-4  # no key is there yet
        assert float((keys @ model.queue).max(dim=1).values.min()) > 1 - 1e-5  # now each is
    assert len(queues) == 9


@pytest.mark.parametrize('momentum', [0.9, 0.999, 0., 1.])
def test_the_teacher_is_the_moving_average(tiny_space, momentum):
    model = build_moco(tiny_space, teacher_momentum=momentum)
    optim_wrapper = sgd(model)
    train(model, optim_wrapper)
    for step in range(1, 4):
        teacher = [value.double() for value in copies(model.teacher.parameters())]
        student = [value.double() for value in copies(student_parameters(model))]
        train(model, optim_wrapper, first=step)
        for new, old, taught in zip(model.teacher.parameters(), teacher, student, strict=True):
            torch.testing.assert_close(new.double(), momentum * old + (1 - momentum) * taught, rtol=1e-6, atol=1e-7)
        moved = [not torch.equal(new, old.float()) for new, old in zip(student_parameters(model), student, strict=True)]
        assert all(moved)


def test_the_teacher_starts_as_the_student_and_gets_no_gradient(tiny_space):
    model = build_moco(tiny_space)
    assert not any(parameter.requires_grad for parameter in model.teacher.parameters())
    model.init_weights()
    for teacher, student in zip(model.teacher.parameters(), student_parameters(model), strict=True):
        assert torch.equal(teacher, student)
    train(model, sgd(model))
    for teacher, student in zip(model.teacher.parameters(), student_parameters(build_moco(tiny_space)), strict=True):
        assert teacher.grad is None and teacher.shape == student.shape


def test_gradient_accumulation(tiny_space):
    """Two batches of half weight make one optimizer step, and one EMA update."""
    apart, together = build_moco(tiny_space), build_moco(tiny_space)
    still = sgd(apart, lr=0.)
    separate = record_gradients(apart, still)
    accumulating = sgd(together, lr=0.5, accumulative_counts=2)
    summed = record_gradients(together, accumulating)
    apart.momentum_range = 1., 1.  # the reference's student and teacher stay where they are
    together.update_teacher = lambda: None
    train(apart, still, steps=2)
    train(together, accumulating, steps=2)
    assert len(separate) == 2 and len(summed) == 1
    assert_gradients_close(summed[0], {name: grad / 2 for name, grad in total(separate).items()})
    assert torch.equal(apart.queue_ptr, together.queue_ptr)


def test_one_ema_update_an_optimizer_step(model):
    optim_wrapper = sgd(model, lr=0.5, accumulative_counts=3)
    train(model, optim_wrapper, steps=3)
    for step in range(3, 9):
        teacher, student = copies(model.teacher.parameters()), copies(student_parameters(model))
        train(model, optim_wrapper, first=step)
        for new, old, taught in zip(model.teacher.parameters(), teacher, student, strict=True):
            if step % 3 == 0:
                torch.testing.assert_close(new, 0.9 * old + 0.1 * taught, rtol=1e-6, atol=1e-7)
            else:
                assert torch.equal(new, old)


def test_clipping_is_the_optim_wrappers(tiny_space):
    free, clipped = build_moco(tiny_space), build_moco(tiny_space)
    wrappers = sgd(free), sgd(clipped, clip_grad=dict(max_norm=0.01))
    gradients = [record_gradients(model, wrapper) for model, wrapper in zip((free, clipped), wrappers, strict=True)]
    train(free, wrappers[0]), train(clipped, wrappers[1])
    norm = torch.stack([grad.norm() for grad in gradients[0][0].values()]).norm()
    assert norm > 0.1
    expected = {name: grad * 0.01 / norm for name, grad in gradients[0][0].items()}
    for name, grad in gradients[1][0].items():
        torch.testing.assert_close(grad, expected[name], rtol=1e-4, atol=1e-8)


@pytest.mark.parametrize('bad', [float('nan'), float('inf')])
def test_a_loss_that_is_not_finite_stops_the_run_before_it_does_harm(model, bad):
    optim_wrapper = sgd(model)
    train(model, optim_wrapper, steps=2)
    student, queue, pointer = copies(student_parameters(model)), model.queue.clone(), int(model.queue_ptr)
    archs = dict(random_1=Arch.parse('4-4x1-8x2-8x2-12x1'), max=model.backbone.space.max)
    model.set_sandwich(41, archs)
    data = batch(4)
    data['inputs'][0][1, 0, 3, 3] = bad
    with pytest.raises(UserError) as info:
        model.train_step(data, optim_wrapper)
    assert 'iteration 41' in str(info.value) and '\n' not in str(info.value)
    for name, arch in archs.items():
        assert f'{name} {arch}: nan' in str(info.value)
    assert all(map(torch.equal, student_parameters(model), student))
    assert torch.equal(model.queue, queue) and int(model.queue_ptr) == pointer
    assert all(parameter.isfinite().all() for parameter in model.teacher.parameters())


def test_one_bad_arch_is_enough(model, monkeypatch):
    factors, loss = iter([float('inf'), 1, 1]), model.loss
    monkeypatch.setattr(model, 'loss', lambda *args: loss(*args) * next(factors))
    student = copies(student_parameters(model))
    with pytest.raises(UserError, match=r'random_1 \S+: inf, random_2 \S+: \d.*, max \S+: \d'):
        train(model, sgd(model))
    assert all(map(torch.equal, student_parameters(model), student))


def test_autocast_computes_in_bfloat16_and_keeps_float32(model):
    optim_wrapper = sgd(model, wrapper=AutocastOptimWrapper)
    gradients = record_gradients(model, optim_wrapper)
    reference, kinds = copy.deepcopy(model), set()
    for backbone in (model.backbone, model.teacher['backbone']):
        backbone.layer4[0].conv2.register_forward_hook(lambda _, __, out: kinds.add(out.dtype))
    log, exact = train(model, optim_wrapper)[0], train(reference, sgd(reference))[0]
    assert kinds == {torch.bfloat16}
    tensors = [*model.parameters(), *gradients[0].values(), model.queue, log['loss']]
    assert {tensor.dtype for tensor in tensors} == {torch.float32}
    assert log['loss'].item() == pytest.approx(exact['loss'].item(), rel=0.05)
    assert log['loss'].item() != exact['loss'].item()


def test_without_the_hook_the_error_says_so(model):
    with pytest.raises(UserError, match='SandwichSamplerHook'):
        model.train_step(batch(4), sgd(model))


def test_the_last_arch_must_be_the_max_arch(model):
    with pytest.raises(ValueError, match='max arch'):
        model.set_sandwich(0, dict(max=model.backbone.space.max, min=model.backbone.space.min))


def test_the_student_is_fed_at_every_arch_by_one_neck(model):
    for arch in (model.backbone.space.min, Arch.parse('5-7x2-9x1-10x3-13x1'), model.backbone.space.max):
        model.backbone.set_arch(arch)
        assert model.embed_student(torch.randn(2, 3, 16, 16)).shape == (2, 8)


@pytest.mark.parametrize('settings, match', [
    (dict(teacher_momentum=1.5), 'teacher_momentum is 1.5'),
    (dict(teacher_momentum=-0.1), 'teacher_momentum'),
    (dict(neck=dict(NECK, in_channels=17)), 'in_channels is 17, .* puts out 64'),
    (dict(backbone=dict(type='gaia_ssl.SubnetResNet', arch='4-4x1-4x1-4x1-4x1')), 'not a SubnetResNet'),
    (dict(final_teacher_momentum=2.), 'final_teacher_momentum is 2'),
    (dict(teacher='min'), "teacher is 'min'"),
    (dict(queue_len=0), 'queue_len is 0'),
    (dict(bn_splits=0), 'bn_splits is 0'),
    (dict(drop_path=1.), 'drop_path is 1.0'),
    (dict(drop_path=0.1, backbone=dict(type='gaia_ssl.DynamicResNet', with_cp=True)), 'leave drop_path or with_cp out'),
    (dict(soft_targets=1.5), 'soft_targets is 1.5'),
    (dict(type='gaia_ssl.SupernetReSSL', soft_targets=0.5), 'targets of ReSSL are soft'),
])
def test_bad_settings_are_user_errors(tiny_space, settings, match):
    config = dict(type='gaia_ssl.SupernetMoCo', neck=NECK, head=HEAD, feat_dim=8,
                  backbone=dict(type='gaia_ssl.DynamicResNet', space=tiny_space))
    with pytest.raises(UserError, match=match):
        MODELS.build({**config, **settings})


@pytest.mark.parametrize('method', ['SupernetMoCo', 'SupernetBYOL'])
def test_paths_are_dropped_of_the_max_archs_student_alone(tiny_space, method):
    kept, dropped, again = (build_supernet(method, tiny_space, drop_path=rate) for rate in (0., 0.5, 0.5))
    for first, share in ((0, 1), (1, 0)):  # the weights are other ones after the first step
        logs = [train(model, sgd(model), first=first)[0] for model in (kept, dropped, again)]
        assert all(torch.equal(logs[1][name], logs[2][name]) for name in logs[1])  # keyed by the iteration
        assert sum(torch.equal(logs[0][f'loss_{name}'], logs[1][f'loss_{name}']) for name in kept.sandwich) == 2 * share
    assert not any(module.drop_path for module in dropped.modules() if isinstance(module, Bottleneck))


def test_more_paths_are_dropped_the_deeper(tiny_space):
    """Of the last block half; the first one keeps all; what is kept grows so that the mean stays."""
    backbone = build_moco(tiny_space).backbone
    branch = torch.ones(20_000, 2, 1, 1)
    blocks = [block for layer in backbone.layers for block in layer]
    with backbone.dropped_paths(0.5, torch.Generator().manual_seed(0)):
        assert blocks[0].drop_path is None
        outputs = [block.drop_path(branch)[:, :, 0, 0] for block in blocks[1:]]
    for index, output in enumerate(outputs, start=1):
        rate = 0.5 * index / 8
        assert float((output == 0).float().mean()) == pytest.approx(rate, abs=0.015)
        assert output.mean().item() == pytest.approx(1, abs=0.03)
        assert torch.equal(output[:, 0], output[:, 1])


def test_a_plain_optim_wrapper_is_enough(model):
    optim_wrapper = OptimWrapper(torch.optim.AdamW(student_parameters(model), lr=1e-3))
    losses = [log['loss_max'].item() for log in train(model, optim_wrapper, steps=3)]
    assert len(set(losses)) == 3
