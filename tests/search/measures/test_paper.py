import numpy as np
import pytest
import torch
from scipy.special import log_softmax, rel_entr

from gaia_ssl.search import RelationTarget, embedding_similarity
from gaia_ssl.search import relation_similarity as similarity_to_target
from gaia_ssl.search.measures import paper


def maps(channels: int, seed: int, images: int = 3, height: int = 4, width: int = 5) -> torch.Tensor:
    return torch.randn(images, channels, height, width, generator=torch.Generator().manual_seed(seed))


def relation_similarity(student: torch.Tensor, teacher: torch.Tensor, temperature: float = 0.2) -> torch.Tensor:
    return similarity_to_target(student, RelationTarget(teacher, temperature))


def by_hand(student: torch.Tensor, teacher: torch.Tensor, temperature: float) -> np.ndarray:
    """Eq. 4, and the Kullback-Leibler divergence in place of Eq. 5, image by image and row by row, in double."""
    similarities = []
    for pair in zip(student.double().numpy(), teacher.double().numpy(), strict=True):
        relations = []
        for feature in pair:
            columns = feature.reshape(len(feature), -1)
            columns = columns / np.sqrt((columns**2).sum(0))
            relations.append(np.exp(log_softmax(columns.T @ columns / temperature, axis=1)))
        p_student, p_teacher = relations
        rows = [rel_entr(t, s).sum() for s, t in zip(p_student, p_teacher, strict=True)]
        similarities.append(-np.mean(rows))
    return np.array(similarities)


@pytest.mark.parametrize('temperature', [0.2, 1.0])
@pytest.mark.parametrize('channels', [(7, 7), (6, 24), (32, 5)])
def test_relations_equal_numpy(channels, temperature):
    student, teacher = maps(channels[0], 1), maps(channels[1], 2)
    actual = relation_similarity(student, teacher, temperature)
    assert actual.shape == (3, ) and actual.dtype == torch.float32
    np.testing.assert_allclose(actual.numpy(), by_hand(student, teacher, temperature), rtol=1e-5)


def test_the_direction_is_from_the_teacher():
    a, b = maps(6, 3), maps(9, 4)
    assert not torch.allclose(relation_similarity(a, b), relation_similarity(b, a), rtol=1e-3)


@pytest.mark.parametrize('limit', [1, 3 * 20 * 7, 3 * 20 * 20 - 1, 10**9])
def test_chunks_do_not_matter(monkeypatch, limit):
    student, teacher = maps(6, 5), maps(9, 6)
    whole = by_hand(student, teacher, 0.2)
    monkeypatch.setattr(paper, 'MAX_ELEMENTS', limit)
    np.testing.assert_allclose(relation_similarity(student, teacher, 0.2).numpy(), whole, rtol=1e-5)


def test_chunks_keep_memory_down(monkeypatch):
    """No more relations at a time than allowed (one row at least)."""
    sizes = []
    plain = paper.log_relations
    monkeypatch.setattr(paper, 'log_relations', lambda *args: sizes.append(plain(*args).numel()) or plain(*args))
    monkeypatch.setattr(paper, 'MAX_ELEMENTS', 3 * 20 * 7)
    relation_similarity(maps(6, 5), maps(9, 6))
    assert max(sizes) == 3 * 20 * 7 and len(sizes) == 2 * 3


@pytest.mark.parametrize('kept', [0, 10**9])
def test_a_target_serves_many_students(monkeypatch, kept):
    """To the bit, whether the teacher's relations are kept or computed again."""
    monkeypatch.setattr(paper, 'MAX_KEPT', kept)
    monkeypatch.setattr(paper, 'MAX_ELEMENTS', 3 * 20 * 7)
    target = RelationTarget(maps(9, 6), 0.2)
    for seed in range(3):
        actual = similarity_to_target(maps(6, seed), target)
        np.testing.assert_allclose(actual.numpy(), by_hand(maps(6, seed), maps(9, 6), 0.2), rtol=1e-5)
        assert torch.equal(actual, relation_similarity(maps(6, seed), maps(9, 6), 0.2))


def test_a_teachers_relations_are_computed_once(monkeypatch):
    calls = []
    plain = paper.log_relations
    monkeypatch.setattr(paper, 'log_relations', lambda *args: calls.append(args[0].shape[1]) or plain(*args))
    target = RelationTarget(maps(9, 6), 0.2)
    for seed in range(3):
        similarity_to_target(maps(6, seed), target)
    assert calls.count(9) == 1 and calls.count(6) == 3


def test_equal_maps_have_similarity_zero_and_others_less():
    a, b = maps(6, 7), maps(6, 8)
    assert relation_similarity(a, a).abs().max() < 1e-6
    assert (relation_similarity(b, a) < -1e-3).all()


def test_relations_see_neither_the_order_nor_the_basis_nor_the_scale_of_channels():
    student, teacher = maps(8, 9), maps(5, 10)
    expected = relation_similarity(student, teacher)
    rng = np.random.default_rng(0)
    rotation = torch.from_numpy(np.linalg.qr(rng.normal(size=(8, 8)))[0]).float()
    for other in (student[:, rng.permutation(8)], torch.einsum('ij,njhw->nihw', rotation, student), 7 * student):
        torch.testing.assert_close(relation_similarity(other, teacher), expected, rtol=1e-4, atol=1e-6)
    positions = student.flatten(2)[:, :, rng.permutation(20)].view_as(student)
    assert not torch.allclose(relation_similarity(positions, teacher), expected, rtol=1e-2)


def test_a_dead_map_gives_a_finite_similarity():
    assert relation_similarity(torch.zeros(3, 4, 4, 5), maps(5, 11)).isfinite().all()


def test_half_precision_maps_are_compared_in_float32():
    student, teacher = maps(6, 12).bfloat16(), maps(9, 13).bfloat16()
    np.testing.assert_allclose(relation_similarity(student, teacher).numpy(), by_hand(student, teacher, 0.2), rtol=1e-5)


def test_maps_of_other_positions_are_refused():
    with pytest.raises(ValueError, match='different positions'):
        relation_similarity(maps(6, 0), maps(6, 0, height=5, width=4))


def test_embeddings_equal_numpy():
    a, b = (np.random.default_rng(seed).normal(size=(5, 8)) for seed in (0, 1))
    expected = (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    actual = embedding_similarity(torch.from_numpy(a).bfloat16().double(), torch.from_numpy(b))
    np.testing.assert_allclose(actual.numpy(), expected, atol=1e-2)
    actual = embedding_similarity(torch.from_numpy(a), torch.from_numpy(3 * b))
    assert actual.dtype == torch.float32
    np.testing.assert_allclose(actual.numpy(), expected, atol=1e-6)
