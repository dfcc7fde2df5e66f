from types import SimpleNamespace

import pytest
import torch

from gaia_ssl.engine import GroupDecayHook
from gaia_ssl.errors import UserError
from tests.models.algorithms.helpers import batch, build_moco, sgd


def test_later_channels_decay_less_with_each_optimizer_step(tiny_space):
    """Two iterations a step: after the first nothing has moved."""
    model, twin = build_moco(tiny_space), build_moco(tiny_space)
    wrappers = [sgd(each, lr=0.05, accumulative_counts=2) for each in (model, twin)]
    runner = SimpleNamespace(model=model, optim_wrapper=wrappers[0])
    hook = GroupDecayHook(weight_decay=2., last=0.25)
    hook.before_train(runner)
    for step in range(2):
        for each, wrapper in zip((model, twin), wrappers, strict=True):
            each.set_sandwich(step, dict(max=tiny_space.max))
            each.train_step(batch(4, seed=step), wrapper)
        hook.after_train_iter(runner, step)
        if step == 0:
            assert all(map(torch.equal, model.parameters(), twin.parameters()))
    decayed = set()
    for (name, value), other in zip(model.named_parameters(), twin.parameters(), strict=True):
        if name.startswith('backbone.') and value.dim() == 4:
            decayed.add(name)
            for channel in range(len(value)):
                share = 1 - 0.75 * channel / (len(value) - 1)
                torch.testing.assert_close(value[channel], other[channel] * (1 - 0.05 * 2 * share), rtol=1e-6, atol=0)
        else:
            assert torch.equal(value, other)
    assert {'backbone.conv1.weight', 'backbone.layer1.0.downsample.0.weight', 'backbone.layer4.1.conv3.weight'} <= decayed


def test_one_decay_is_enough(tiny_space):
    model = build_moco(tiny_space)
    runner = SimpleNamespace(model=model, optim_wrapper=sgd(model))
    runner.optim_wrapper.param_groups[0]['weight_decay'] = 1e-4
    with pytest.raises(UserError, match='set optim_wrapper.optimizer.weight_decay=0'):
        GroupDecayHook(1e-4).before_train(runner)


@pytest.mark.parametrize('settings', [dict(weight_decay=-1), dict(weight_decay=float('nan')), dict(weight_decay=1, last=1.5)])
def test_numbers_out_of_range(settings):
    with pytest.raises(UserError, match='GroupDecayHook: weight_decay is'):
        GroupDecayHook(**settings)
