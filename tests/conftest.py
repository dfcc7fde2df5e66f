import os
import random

import numpy as np
import pytest
import torch
from mmengine.registry import DefaultScope

from gaia_ssl import ArchSpace

torch.set_num_threads(1)  # the networks are so small that more threads only wait for each other


def pytest_configure(config: pytest.Config) -> None:
    """Hide GPUs: the bits that tests compare are the CPU's. Those that are marked ``gpu`` run alone, by ``-m gpu``."""
    if config.option.markexpr != 'gpu':
        os.environ['CUDA_VISIBLE_DEVICES'] = ''


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker('gpu') and not torch.cuda.is_available():
        pytest.skip('needs a GPU, and -m gpu')


@pytest.fixture(autouse=True)
def seeded() -> None:
    """Every test starts from the same random state, whatever ran before it."""
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def no_default_scope() -> None:
    """A Runner of an earlier test leaves its toolbox as mmengine's default scope."""
    DefaultScope._instance_dict.clear()


@pytest.fixture(scope='session')
def tiny_space() -> ArchSpace:
    """768 archs whose largest has 16 channels and 9 blocks: milliseconds a forward."""
    return ArchSpace(
        stem=(4, 8),
        widths=((4, 8), (8, 12), (8, 16), (12, 16)),
        depths=((1, 2), (1, 2), (1, 2, 3), (1, 2)))
