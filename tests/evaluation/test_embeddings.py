import numpy as np
import pytest
import torch
from scipy.linalg import svdvals
from scipy.stats import entropy

from gaia_ssl.evaluation import embedding_std, rank_me


@pytest.mark.parametrize('shape', [(60, 8), (8, 60), (7, 7)])
def test_rank_me_is_the_exponential_of_scipys_entropy(shape):
    embeddings = np.random.default_rng(0).normal(size=shape) * np.linspace(0.1, 3, shape[1]) + 0.5
    expected = np.exp(entropy(svdvals(embeddings)))  # SciPy normalises by the sum
    assert rank_me(embeddings) == pytest.approx(expected, rel=1e-4)
    assert rank_me(3 * embeddings) == pytest.approx(rank_me(embeddings))
    assert 1.5 < expected < min(shape)


def test_rank_me_of_known_spectra():
    rng = np.random.default_rng(0)
    basis, _ = np.linalg.qr(rng.normal(size=(40, 8)))
    assert rank_me(basis) == pytest.approx(8, rel=1e-4)
    assert rank_me(basis[:, :3] @ rng.normal(size=(3, 3)) @ np.eye(3, 8)) < 3.001  # three directions of eight
    # Singular values 3 and 1: p = 3/4, 1/4, so exp(H) = (4/3)^(3/4) * 4^(1/4).
    assert rank_me(np.array([[3.0, 0.0], [0.0, 1.0]])) == pytest.approx((4 / 3) ** 0.75 * 4 ** 0.25, rel=1e-5)


@pytest.mark.parametrize('constant', [0.0, 5.0])
def test_the_same_embedding_for_all(constant):
    embeddings = np.full((50, 128), constant, dtype=np.float32)
    assert rank_me(embeddings) == pytest.approx(1, abs=1e-3)
    assert embedding_std(embeddings) == pytest.approx(0, abs=1e-6)


def test_std_equals_torch():
    embeddings = torch.randn(100, 16) * torch.linspace(0.1, 2, 16) + 0.3
    expected = torch.nn.functional.normalize(embeddings, dim=1).std(dim=0, correction=0).mean() * 4
    assert embedding_std(embeddings.numpy()) == pytest.approx(expected.item(), rel=1e-5)
    assert embedding_std((7 * embeddings).numpy()) == pytest.approx(expected.item(), rel=1e-5)


def test_std_of_known_directions():
    assert embedding_std(np.random.default_rng(0).normal(size=(5000, 64))) == pytest.approx(1, abs=0.01)
    assert embedding_std(np.array([[2.0, 0.0], [0.0, 5.0]])) == pytest.approx(0.5 * 2 ** 0.5)


@pytest.mark.parametrize('value', [np.nan, np.inf])
def test_what_is_not_finite(value):
    embeddings = np.ones((4, 3))
    embeddings[1, 1] = value
    assert np.isnan(rank_me(embeddings)) and np.isnan(embedding_std(embeddings))
