import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from gaia_ssl.errors import UserError
from gaia_ssl.models.algorithms.queue import add_queue, enqueue


@pytest.mark.parametrize('size', [1, 4, 7, 10, 13, 25])
def test_the_queue_is_a_ring_of_any_length(size):
    module = nn.Module()
    add_queue(module, 'queue', 8, 10)
    torch.testing.assert_close(module.queue.norm(dim=0), torch.ones(10))
    ring, pointer = module.queue.numpy().copy(), 0
    for step in range(7):
        keys = F.normalize(torch.randn(size, 8), dim=1)
        for key in keys.numpy():
            ring[:, pointer] = key
            pointer = (pointer + 1) % 10
        enqueue(module.queue, module.queue_ptr, keys)
        # A batch larger than the queue leaves its last keys, in order; where in the ring they begin does not matter.
        ours = np.roll(module.queue.numpy(), -int(module.queue_ptr), axis=1)
        np.testing.assert_array_equal(ours, np.roll(ring, -pointer, axis=1), err_msg=f'step {step}')
        if size <= 10:
            assert int(module.queue_ptr) == pointer
            np.testing.assert_array_equal(module.queue.numpy(), ring)


def test_queues_of_one_module_are_saved_apart():
    module = nn.Module()
    add_queue(module, 'queue', 4, 3)
    add_queue(module, 'queue2', 4, 5)
    assert {name: tuple(value.shape) for name, value in module.state_dict().items()} == dict(
        queue=(4, 3), queue_ptr=(1, ), queue2=(4, 5), queue2_ptr=(1, ))


@pytest.mark.parametrize('length', [0, -1])
def test_an_empty_queue_is_a_user_error(length):
    with pytest.raises(UserError, match=f'queue_len is {length}'):
        add_queue(nn.Module(), 'queue', 4, length)
