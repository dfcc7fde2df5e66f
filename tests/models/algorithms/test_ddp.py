import re
from types import SimpleNamespace

import pytest
import torch
from mmengine.registry import MODEL_WRAPPERS
from torch.distributed.algorithms.ddp_comm_hooks.default_hooks import allreduce_hook

from gaia_ssl import ArchSpace
from gaia_ssl.engine import SandwichSamplerHook
from gaia_ssl.models.algorithms import Supernet
from gaia_ssl.space import SandwichSampler
from tests.distributed import run_distributed
from tests.models.algorithms.helpers import (
    METHODS,
    assert_gradients_close,
    batch,
    build_moco,
    build_supernet,
    normalised,
    record_gradients,
    reference_gradient,
    sgd,
    teacher_keys,
    total,
)

WORLD, SIZE, STEPS, SEED = 2, 4, 3, 5
LR = 0.01  # small enough for rounding to grow little in so few steps


def joint_batch(step: int) -> dict:
    return batch(WORLD * SIZE, seed=step)


CURES = dict(SupernetDenseCL=dict(soft_targets=0.5))
"""Of a model."""
WEIGHTS = dict(random=0.5, max=2.5)


def sandwich_steps(rank: int, method: str, space: ArchSpace, norm: str, accumulate: int, weights: dict) -> dict:
    """Some steps as a Runner makes them, on this process's part of each joint batch."""
    model = build_supernet(method, space, norm=norm, **CURES.get(method, {}))
    with torch.no_grad():  # DDP begins with the first process's weights and queues, whatever the others have
        for tensor in (*model.parameters(), *queues(model)):
            tensor.mul_(1 + rank)
    ddp = MODEL_WRAPPERS.build(
        dict(type='gaia_ssl.SandwichDistributedDataParallel', module=model, device_ids=[0]))  # as mmengine gives it
    synced = []
    ddp.register_comm_hook(None, lambda state, bucket: (synced.append(step), allreduce_hook(None, bucket))[1])
    loader = SimpleNamespace(dataset=range(100), batch_size=SIZE, collate_fn=lambda images: batch(len(images)))
    runner = SimpleNamespace(model=ddp, seed=SEED, world_size=WORLD, train_dataloader=loader, max_iters=STEPS)
    hook = SandwichSamplerHook(weights=weights)
    hook.before_train(runner)
    optim_wrapper = sgd(model, lr=LR, accumulative_counts=accumulate)
    gradients, archs, losses = record_gradients(model, optim_wrapper), [], []
    for step in range(STEPS):
        runner.iter = step
        hook.before_train_iter(runner, step)
        archs.append({name: str(arch) for name, arch in model.sandwich.items()})
        data = dict(joint_batch(step), inputs=[view.chunk(WORLD)[rank] for view in joint_batch(step)['inputs']])
        losses.append(ddp.train_step(data, optim_wrapper)['loss'].item())
    parameters = [parameter.detach() for parameter in model.parameters()]
    return dict(gradients=gradients, archs=archs, losses=losses, synced=synced, parameters=parameters, queues=queues(model))


def queues(model: Supernet) -> list[torch.Tensor]:
    return [value for name, value in model.named_buffers() if re.fullmatch(r'queue\d?', name)]


def assert_processes_agree(results: list[dict], space: ArchSpace) -> None:
    first, second = results
    sampler = SandwichSampler(space, seed=SEED)
    drawn = [{name: str(arch) for name, arch in sampler.sample(step).items()} for step in range(STEPS)]
    assert first['archs'] == second['archs'] == drawn
    assert all(map(torch.equal, first['queues'], second['queues']))
    assert all(map(torch.equal, first['parameters'], second['parameters']))
    assert first['losses'] != second['losses']  # of different images
    for one, other in zip(first['gradients'], second['gradients'], strict=True):
        assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize('method', [*METHODS, 'SupernetDistill'])
def test_with_synchronised_batch_norm_two_processes_are_one_with_the_joint_batch(tiny_space, method):
    results = run_distributed(sandwich_steps, WORLD, method, tiny_space, 'SyncBN', 1, WEIGHTS)
    assert_processes_agree(results, tiny_space)
    model = build_supernet(method, tiny_space, norm='BN', **CURES.get(method, {}))
    optim_wrapper = sgd(model, lr=LR)
    gradients = record_gradients(model, optim_wrapper)
    sampler = SandwichSampler(tiny_space, seed=SEED)
    losses = []
    for step in range(STEPS):
        archs = sampler.sample(step)
        model.set_sandwich(step, archs, step / STEPS, {name: WEIGHTS[name.partition('_')[0]] for name in archs})
        losses.append(model.train_step(joint_batch(step), optim_wrapper)['loss'].item())
    assert_gradients_close(results[0]['gradients'][0], gradients[0], rtol=1e-4)
    assert_gradients_close(results[0]['gradients'][-1], gradients[-1], rtol=1e-2)  # rounding has grown with the steps
    means = [sum(pair) / WORLD for pair in zip(*(result['losses'] for result in results), strict=True)]
    assert means == pytest.approx(losses, rel=1e-4)
    for theirs, ours in zip(results[0]['queues'], queues(model), strict=True):
        torch.testing.assert_close(theirs, ours, rtol=1e-3, atol=1e-4)
    # One exchange a step: the small model is one bucket.
    assert results[0]['synced'] == results[1]['synced'] == list(range(STEPS))


def test_plain_batch_norm_and_accumulation(tiny_space):
    """The gradient by hand: each process's student by its own statistics, the keys by those of every second image."""
    results = run_distributed(sandwich_steps, WORLD, 'SupernetMoCo', tiny_space, 'BN', 2, {})
    assert_processes_agree(results, tiny_space)
    assert results[0]['synced'] == [1]  # neither amid a sandwich nor amid an accumulation
    model = build_moco(tiny_space)
    model.update_teacher()
    sampler, parts = SandwichSampler(tiny_space, seed=SEED), []
    for step in range(2):
        students, teachers = normalised(joint_batch(step)['inputs'])
        keys = torch.stack([teacher_keys(model, teachers[rank::WORLD]) for rank in range(WORLD)], dim=1).flatten(0, 1)
        for images, own in zip(students.chunk(WORLD), keys.chunk(WORLD), strict=True):
            for arch in sampler.sample(step).values():
                parts.append(reference_gradient(model, arch, images, own, model.queue)[1])
        model.finish_step(dict(keys=keys, all_keys=keys))
    expected = {name: grad / (2 * WORLD) for name, grad in total(parts).items()}
    assert_gradients_close(results[0]['gradients'][0], expected, rtol=1e-4)
