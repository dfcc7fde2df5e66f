"""Measures between images against SciPy, scikit-learn and the papers' formulas in NumPy."""

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, rel_entr
from sklearn.kernel_ridge import KernelRidge
from sklearn.neighbors import NearestNeighbors

from gaia_ssl.search.measures import BETWEEN_IMAGES, FeatureTarget
from gaia_ssl.search.measures.between_images import CELLS, NEIGHBOURS, PENALTY, TEMPERATURE, cells_of

IMAGES = 40


def features(seed: int, channels: int, shape: tuple[int, ...] = (), images: int = IMAGES) -> torch.Tensor:
    """Features of which half is common to all seeds, far from the origin."""
    generator = torch.Generator().manual_seed(seed)
    common = torch.randn(images, 6, *shape, generator=torch.Generator().manual_seed(99))
    mixed = torch.einsum('ij,nj...->ni...', torch.randn(channels, 6, generator=generator), common)
    return mixed + 2 * torch.randn(images, channels, *shape, generator=generator) + 5


def unit_rows(feature: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Centred rows of length one, a row a cell, image after image; and the image of each."""
    values = feature.double().numpy()
    if values.ndim == 4:
        side = values.shape[2] // CELLS
        values = values.reshape(*values.shape[:2], CELLS, side, CELLS, side).mean(axis=(3, 5))
        values = np.moveaxis(values.reshape(*values.shape[:2], -1), 1, 2)
    else:
        values = values[:, None]
    rows = values.reshape(-1, values.shape[2])
    rows = rows - rows.mean(axis=0)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True), np.repeat(np.arange(len(values)), values.shape[1])


def relations_by_hand(student, teacher, image):
    scores = []
    for i in range(len(student)):
        others = image != image[i]
        p_student, p_teacher = (np.exp(log_softmax(rows[others] @ rows[i] / TEMPERATURE)) for rows in (student, teacher))
        scores.append(-rel_entr(p_teacher, p_student).sum())
    return scores


def neighbours_by_hand(student, teacher, image):
    scores = []
    for i in range(len(student)):
        others = np.flatnonzero(image != image[i])
        near = [set(NearestNeighbors(n_neighbors=NEIGHBOURS, metric='cosine').fit(rows[others])
                    .kneighbors(rows[i:i + 1], return_distance=False)[0]) for rows in (student, teacher)]
        scores.append(len(near[0] & near[1]) / NEIGHBOURS)
    return scores


def readout_by_hand(student, teacher, image):
    error = np.empty(len(student))
    for half in (0, 1):
        fitted, held = image % 2 == half, image % 2 != half
        ridge = KernelRidge(alpha=PENALTY).fit(student[fitted], teacher[fitted])
        error[held] = ((ridge.predict(student[held]) - teacher[held])**2).sum(axis=1)
    return 1 - error


def unbiased_hsic(kernel, other):
    """Song et al. (2012), eq. 5."""
    n = len(kernel)
    kernel, other = (each - np.diag(np.diag(each)) for each in (kernel, other))
    ones = np.ones(n)
    return (np.trace(kernel @ other) + ones @ kernel @ ones * (ones @ other @ ones) / ((n - 1) * (n - 2))
            - 2 / (n - 2) * ones @ kernel @ other @ ones) / (n * (n - 3))


def by_hand(name: str, student: torch.Tensor, teacher: torch.Tensor) -> np.ndarray:
    """Image by image; of CKA, which is one number a batch, that number for all."""
    (student, image), (teacher, _) = unit_rows(student), unit_rows(teacher)
    if name == 'cka':
        cells = len(image) // (image[-1] + 1)
        kernels = [(rows @ rows.T).reshape(image[-1] + 1, cells, -1, cells).mean(axis=(1, 3)) for rows in (student, teacher)]
        cka = unbiased_hsic(*kernels) / np.sqrt(unbiased_hsic(kernels[0], kernels[0]) * unbiased_hsic(kernels[1], kernels[1]))
        return np.full(image[-1] + 1, cka)
    scores = dict(relations=relations_by_hand, neighbours=neighbours_by_hand,
                  readout=readout_by_hand)[name](student, teacher, image)
    return np.reshape(scores, (image[-1] + 1, -1)).mean(axis=1)


@pytest.mark.parametrize('shape', [(), (4, 4)])
@pytest.mark.parametrize('name', BETWEEN_IMAGES)
def test_equals_a_naive_evaluation(name, shape):
    student, teacher = features(1, 9, shape), features(2, 24, shape)
    actual = FeatureTarget(teacher, [name]).compare(student)[0]
    assert actual.shape == (IMAGES, ) and actual.dtype == torch.float32
    expected = by_hand(name, student, teacher)
    assert -9 < expected.mean() < 0.95 and (name == 'cka' or expected.std() > 0.01)
    if name == 'cka':
        actual, expected = actual.mean(), expected.mean()
    np.testing.assert_allclose(actual.numpy(), expected, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize('name', BETWEEN_IMAGES)
def test_sees_neither_basis_nor_scale_nor_offset(name):
    student, teacher = features(1, 9), features(2, 24)
    target = FeatureTarget(teacher, [name])
    rotation = torch.linalg.qr(torch.randn(9, 9, generator=torch.Generator().manual_seed(3)))[0]
    expected = target.compare(student)
    for other in (student @ rotation, 7 * student, student + 3):
        torch.testing.assert_close(target.compare(other), expected, rtol=1e-2, atol=1e-4)


@pytest.mark.parametrize('name, best', dict(relations=0, neighbours=1, readout=0.9, cka=1).items())
def test_the_teacher_itself_is_best(name, best):
    teacher = features(2, 12)
    target = FeatureTarget(teacher, [name])
    own = target.compare(teacher).mean()
    assert own >= best - 1e-4 if name == 'readout' else own == pytest.approx(best, abs=1e-5)
    further = [target.compare(teacher + noise * features(5, 12) * 1.0).mean() for noise in (0.1, 0.5, 2)]
    assert own > further[0] > further[1] > further[2]


@pytest.mark.parametrize('shape', [(), (4, 4)])
def test_what_is_unrelated_has_no_alignment(shape):
    generator = torch.Generator().manual_seed(0)
    pairs = [[torch.randn(IMAGES, 12, *shape, generator=generator) for _ in range(2)] for _ in range(20)]
    values = [FeatureTarget(teacher, ['cka']).compare(student).mean().item() for student, teacher in pairs]
    assert abs(np.mean(values)) < 0.03 and np.std(values) < 0.1


@pytest.mark.parametrize('name', BETWEEN_IMAGES)
def test_what_is_not_finite_gives_nan(name):
    student = features(1, 9)
    student[3, 2] = torch.nan
    assert FeatureTarget(features(2, 24), [name]).compare(student).isnan().all()


@pytest.mark.parametrize('name', BETWEEN_IMAGES)
def test_dead_features_give_finite_scores(name):
    assert FeatureTarget(features(2, 12), [name]).compare(torch.zeros(IMAGES, 5)).isfinite().all()
    assert FeatureTarget(torch.zeros(IMAGES, 5), [name]).compare(features(2, 12)).isfinite().all()


def test_measures_of_a_feature_come_together():
    student, teacher = features(1, 9, (4, 4)), features(2, 24, (4, 4))
    names = ['', *BETWEEN_IMAGES]
    together = FeatureTarget(teacher, names).compare(student)
    for name, scores in zip(names, together, strict=True):
        assert torch.equal(FeatureTarget(teacher, [name]).compare(student)[0], scores)


def test_maps_are_averaged_to_cells():
    maps = torch.arange(2 * 3 * 5 * 4.).view(2, 3, 5, 4)
    cells = cells_of(maps)
    assert cells.shape == (2, CELLS**2, 3)
    torch.testing.assert_close(cells[1, 0], maps[1, :, :3, :2].mean(dim=(1, 2)))
    assert cells_of(maps[:, :, :1, :1]).shape == (2, 1, 3)


def test_a_finer_map_is_pooled_to_the_teachers_grid():
    student, teacher = features(1, 9, (4, 4)), features(2, 24, (2, 2))
    for name in ('', 'relations'):
        target = FeatureTarget(teacher, [name])
        pooled = torch.nn.functional.adaptive_avg_pool2d(student, 2)
        assert torch.equal(target.compare(student), target.compare(pooled))
