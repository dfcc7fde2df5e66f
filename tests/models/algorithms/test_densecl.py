import numpy as np
import pytest
import torch
from mmpretrain.engine.hooks import DenseCLHook

from gaia_ssl import Arch
from gaia_ssl.errors import UserError
from tests.models.algorithms.helpers import TEMPERATURE, batch, build_supernet, normalised

METHOD = 'SupernetDenseCL'


def unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.sqrt((vectors**2).sum(-1, keepdims=True))


def info_nce(query: np.ndarray, key: np.ndarray, queue: np.ndarray) -> float:
    scores = np.exp(np.array([query @ key, *(query @ negative for negative in queue.T)]) / TEMPERATURE)
    return -np.log(scores[0] / scores.sum())


@pytest.mark.parametrize('arch', ['4-8x1-8x2-16x2-12x1', 'max'])
def test_the_loss_in_numpy(tiny_space, arch):
    """Position by position: the match by an argmax over the teacher's positions, then InfoNCE with it."""
    model = build_supernet(METHOD, tiny_space, loss_lambda=0.3)
    model.backbone.set_arch(tiny_space.max if arch == 'max' else Arch.parse(arch))
    views = normalised(batch(5, side=32)['inputs'])
    targets = model.teach(views)
    with torch.no_grad():
        loss = float(model.loss(views, targets))
        image, positions, _ = (tensor.double().numpy() for tensor in model.neck(model.backbone(views[0])))
        keys, dense_keys, dense_means = (
            tensor.double().numpy() for tensor in model.teacher['neck'](model.teacher['backbone'](views[1])))
    queue, queue2 = model.queue.double().numpy(), model.queue2.double().numpy()
    whole = [info_nce(query, key, queue) for query, key in zip(unit(image), unit(keys), strict=True)]
    dense = []
    for queries, candidates in zip(positions, dense_keys, strict=True):
        candidates = unit(candidates.T)
        for query in unit(queries.T):
            match = max(range(len(candidates)), key=lambda t: query @ candidates[t])
            dense.append(info_nce(query, candidates[match], queue2))
    assert len(dense) == 5 * 16
    assert loss == pytest.approx(0.7 * np.mean(whole) + 0.3 * np.mean(dense), rel=1e-4)
    np.testing.assert_allclose(targets['all_dense_means'].numpy(), unit(dense_means), rtol=1e-3, atol=1e-5)


def test_both_queues_move_once_a_step(tiny_space):
    model = build_supernet(METHOD, tiny_space, queue_len=10)
    before = model.queue.clone(), model.queue2.clone()
    targets = model.teach(normalised(batch(4, side=32)['inputs']))
    model.finish_step(targets)
    for queue, pointer, old, keys in ((model.queue, model.queue_ptr, before[0], targets['all_keys']),
                                      (model.queue2, model.queue2_ptr, before[1], targets['all_dense_means'])):
        torch.testing.assert_close(queue[:, :4], keys.T)
        assert torch.equal(queue[:, 4:], old[:, 4:]) and int(pointer) == 4
    assert not torch.equal(targets['all_keys'], targets['all_dense_means'])


def test_mmpretrains_hook_can_hold_the_dense_loss_back(tiny_space):
    class FakeRunner:
        model, iter = build_supernet(METHOD, tiny_space), 0

    hook, seen = DenseCLHook(start_iters=2), []
    hook.before_train(FakeRunner)
    for FakeRunner.iter in range(4):
        hook.before_train_iter(FakeRunner, FakeRunner.iter)
        seen.append(FakeRunner.model.loss_lambda)
    assert seen == [0., 0., 0.5, 0.5]


def test_a_share_outside_zero_to_one_is_a_user_error(tiny_space):
    with pytest.raises(UserError, match='loss_lambda is 1.5'):
        build_supernet(METHOD, tiny_space, loss_lambda=1.5)
