"""The walk against one forward a subnet."""

import gc

import numpy as np
import pytest
import torch

from gaia_ssl import Arch, ArchSpace
from gaia_ssl.search import ForwardEvaluator, PrefixEvaluator
from gaia_ssl.search.measures import BETWEEN_IMAGES
from gaia_ssl.space import ArchTree
from tests import tiny

FEATURES = ('c2', 'c3', 'c4', 'c5', 'z')
LARGER = ArchSpace(stem=(4, 6, 8), widths=((4, 6), (6, 8), (8, 10, 12), (12, 16)),
                   depths=((1, 2), (1, 3), (1, 2, 4), (1, 2)))


def off_grid() -> list[Arch]:
    return [Arch.parse(text) for text in ('5-6x2-7x1-9x1-13x1', '5-6x1-7x1-9x2-13x1', '7-6x2-7x1-9x1-13x1')]


@pytest.mark.parametrize('space, stem_kernel, size', [(LARGER, 3, 20), (LARGER, 7, 64)])
def test_equal_to_the_bit_for_200_archs(space, stem_kernel, size):
    model, images = tiny.supernet(space=space, stem_kernel=stem_kernel), tiny.images(5, size=size)
    rng = np.random.default_rng(stem_kernel)
    archs = [space[int(index)] for index in rng.choice(len(space), 200, replace=False)]
    expected = ForwardEvaluator(model, FEATURES).score(images, archs)
    actual = PrefixEvaluator(model, FEATURES).score(images, archs)
    assert torch.equal(actual, expected) and actual.dtype == torch.float32
    assert len(actual.unique()) > 1000


def test_equal_to_the_bit_for_all_archs_and_in_any_order():
    model, images = tiny.supernet(), tiny.images(4)
    archs = [*tiny.SPACE, *off_grid(), tiny.SPACE[7], tiny.SPACE[7]][::-1]
    assert torch.equal(PrefixEvaluator(model, FEATURES).score(images, archs),
                       ForwardEvaluator(model, FEATURES).score(images, archs))


def test_bfloat16_is_shared_alike():
    model, images, archs = tiny.supernet(), tiny.images(4), list(tiny.SPACE)
    settings = dict(quantities=FEATURES, dtype=torch.bfloat16)
    assert torch.equal(PrefixEvaluator(model, **settings).score(images, archs),
                       ForwardEvaluator(model, **settings).score(images, archs))


@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16])
def test_measures_between_images_are_shared_alike(dtype):
    quantities = [f'{feature}:{name}' for feature in ('c2', 'c4', 'c5', 'gap', 'z') for name in BETWEEN_IMAGES]
    model, images, archs = tiny.supernet(), tiny.images(32), list(tiny.SPACE)
    settings = dict(quantities=[*quantities, 'c5'], dtype=dtype)
    scores = PrefixEvaluator(model, **settings).score(images, archs)
    assert torch.equal(scores, ForwardEvaluator(model, **settings).score(images, archs))
    assert scores.isfinite().all() and len(scores.mean(dim=2).unique()) > 300


@pytest.mark.parametrize('features', [('z', ), ('c5', ), ('c2', 'c4')])
def test_features_are_what_was_asked_for(features):
    model, images, archs = tiny.supernet(), tiny.images(4), list(tiny.SPACE)[::3]
    whole = PrefixEvaluator(model, FEATURES).score(images, archs)
    some = PrefixEvaluator(model, features).score(images, archs)
    assert torch.equal(some, whole[:, [FEATURES.index(feature) for feature in features]])


def test_nothing_of_the_model_changes():
    model = tiny.supernet().train()
    state = {name: value.clone() for name, value in model.state_dict().items()}
    arch, out_indices = model.backbone.arch, model.backbone.out_indices
    PrefixEvaluator(model, FEATURES, dtype=torch.bfloat16).score(tiny.images(4), list(tiny.SPACE))
    assert tiny.equal(dict(model.state_dict()), state)
    assert model.training and model.backbone.arch == arch and model.backbone.out_indices == out_indices
    assert all(value.requires_grad and value.dtype == torch.float32 for value in model.backbone.parameters())


def test_units_can_be_done_in_parts():
    """Any subset of the units gives what the whole walk gives for them, also if earlier ones own shared nodes."""
    evaluator, tree = PrefixEvaluator(tiny.supernet(space=LARGER), FEATURES), ArchTree(list(LARGER))
    images = evaluator.prepare(tiny.images(3))
    targets = evaluator.teach(images)

    def walk(units) -> dict[int, dict[str, np.ndarray]]:
        found = {}
        evaluator.walk(images, targets, tree, units, found.__setitem__)
        return found

    whole = walk(range(tree.num_units))
    assert list(whole) == list(range(tree.num_units))
    rng = np.random.default_rng(0)
    for units in (rng.permutation(tree.num_units)[:5].tolist(), [tree.num_units - 1], [1, 2, 3]):
        part = walk(units)
        assert list(part) == sorted(units)
        for unit, scores in part.items():
            for feature, values in scores.items():
                np.testing.assert_array_equal(values, whole[unit][feature], strict=True)


def test_each_block_of_a_chain_runs_once():
    model, runs = tiny.supernet(space=LARGER), []
    for stage, layer in enumerate(model.backbone.layers):
        for block in layer:
            block.register_forward_hook(lambda *_, stage=stage: runs.append(stage))
    model.backbone.maxpool.register_forward_hook(lambda *_: runs.append('stem'))
    PrefixEvaluator(model, ('c5', )).score(tiny.images(2), list(LARGER))
    # Paths into a stage x widths x the deepest chain.
    expected = dict(stem=3)
    paths = 3
    for stage, (widths, depths) in enumerate(zip(LARGER.widths, LARGER.depths, strict=True)):
        expected[stage] = paths * len(widths) * max(depths)
        paths *= len(widths) * len(depths)
    assert {key: runs.count(key) for key in expected} == expected


def test_only_the_path_is_in_memory():
    """As many activations of a stage are alive at a time as one path has, not as many as the tree has nodes."""
    model, alive = tiny.supernet(space=LARGER), []
    shapes = {(2, 4 * width) for width in LARGER.widths[3]}

    def activations() -> int:
        gc.collect()
        # By its exact type: torch.export leaves tensors of symbolic shape behind in the process.
        return sum(type(each) is torch.Tensor and each.dim() == 4 and tuple(each.shape[:2]) in shapes
                   for each in gc.get_objects())

    others = activations()
    model.backbone.layers[3][0].register_forward_hook(lambda *_: alive.append(activations() - others))
    PrefixEvaluator(model, ('c5', )).score(tiny.images(2), [*LARGER][:24])
    assert len(alive) > 5 and min(alive) >= 1 and max(alive) <= 8


@pytest.mark.gpu
@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16])
def test_on_the_gpu(dtype):
    model, images, archs = tiny.supernet().cuda(), tiny.images(4).cuda(), list(tiny.SPACE)
    expected = ForwardEvaluator(model, FEATURES, dtype=dtype).score(images, archs)
    actual = PrefixEvaluator(model, FEATURES, dtype=dtype).score(images, archs)
    torch.testing.assert_close(actual, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.slow
def test_equal_to_the_bit_on_the_papers_space():
    from gaia_ssl import DATA_SPACE
    model, images = tiny.supernet(space=DATA_SPACE, stem_kernel=7), tiny.images(2, size=48)
    rng = np.random.default_rng(0)
    archs = [DATA_SPACE[int(index)] for index in rng.choice(len(DATA_SPACE), 200, replace=False)]
    assert torch.equal(PrefixEvaluator(model, FEATURES).score(images, archs),
                       ForwardEvaluator(model, FEATURES).score(images, archs))
