"""Subnets compared with a frozen teacher instead of the supernet's own max."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner

from gaia_ssl.errors import UserError
from gaia_ssl.models import SubnetResNet, extract_subnet
from gaia_ssl.search import ForwardEvaluator, PrefixEvaluator
from gaia_ssl.search.task import STAGES
from tests import tiny
from tests.search.measures.test_paper import by_hand

FEATURES = (*STAGES, 'z')
ARCHS = [tiny.SPACE.min, tiny.SPACE[11], tiny.SPACE.max]


@pytest.fixture
def teacher(tmp_path) -> dict:
    return tiny.save_teacher(tmp_path / 'teacher.pth')


def centred_cosine(a: torch.Tensor, b: torch.Tensor) -> np.ndarray:
    a, b = (each.double().numpy() - each.double().numpy().mean(0) for each in (a, b))
    return (a * b).sum(1) / np.sqrt((a**2).sum(1) * (b**2).sum(1))


def static_maps(model, arch, images) -> list[torch.Tensor]:
    with torch.no_grad():
        return list(extract_subnet(model.backbone, arch).train()(images))


def predicted(model, c5: torch.Tensor) -> torch.Tensor:
    pooled, fc = c5.mean((2, 3)), model.neck.fc
    return (pooled @ fc.weight[:, :pooled.size(1)].T + fc.bias).detach()


def test_scores_are_of_the_frozen_networks_own_features(teacher):
    model, images = tiny.supernet(method=tiny.distillation(teacher)), tiny.images(5)
    network = SubnetResNet('8-8x1-12x1-8x2-16x1', stem_kernel=3)
    network.load_state_dict(torch.load(teacher['checkpoint'], weights_only=True))
    with torch.no_grad():
        frozen = network.eval()(images)
    expected = []
    for arch in ARCHS:
        maps = static_maps(model, arch, images)
        cosine = centred_cosine(predicted(model, maps[-1]), frozen[-1].mean((2, 3)))
        expected.append([*(by_hand(own, theirs, 0.2) for own, theirs in zip(maps, frozen, strict=True)), cosine])
    actual = ForwardEvaluator(model, FEATURES, reference='teacher').score(images, ARCHS)
    np.testing.assert_allclose(actual.numpy(), np.array(expected), rtol=1e-3, atol=1e-5)
    assert torch.equal(PrefixEvaluator(model, FEATURES, reference='teacher').twin().score(images, ARCHS), actual)


def test_embeddings_are_centred_against_max_too(teacher):
    model, images = tiny.supernet(method=tiny.distillation(teacher)), tiny.images(5)
    with torch.no_grad():
        c5 = extract_subnet(model.teacher['backbone'], tiny.SPACE.max).train()(images)[-1]
        theirs = model.teacher['neck']((c5, ))[0]
    expected = [centred_cosine(predicted(model, static_maps(model, arch, images)[-1]), theirs) for arch in ARCHS]
    actual = ForwardEvaluator(model, ('z', )).score(images, ARCHS)
    np.testing.assert_allclose(actual[:, 0].numpy(), expected, rtol=1e-3, atol=1e-5)


def test_a_coarser_grid_of_the_teacher_is_where_they_meet(tmp_path):
    from mmpretrain.models import VisionTransformer
    settings = dict(arch=dict(embed_dims=32, num_layers=1, num_heads=2, feedforward_channels=32), img_size=32, patch_size=8)
    network = VisionTransformer(**settings, out_type='featmap')
    network.init_weights()
    torch.save(network.state_dict(), tmp_path / 'vit.pth')
    vit = dict(settings, type='mmpretrain.VisionTransformer', checkpoint=str(tmp_path / 'vit.pth'))
    model, images = tiny.supernet(method=tiny.distillation(vit, feat_dim=32)), tiny.images(4)
    network.eval()
    with torch.no_grad():
        patches, = network(images)  # 4x4
    maps = static_maps(model, tiny.SPACE.min, images)
    c3 = maps[1].unflatten(2, (4, 4)).unflatten(4, (4, 4)).mean((3, 5))
    actual = ForwardEvaluator(model, ('c3', 'c5'), reference='teacher').score(images, [tiny.SPACE.min])
    expected = np.stack([by_hand(c3, patches, 0.2), by_hand(maps[3], patches, 0.2)])
    np.testing.assert_allclose(actual[0].numpy(), expected, rtol=1e-3, atol=1e-5)


@pytest.fixture
def config(tmp_path) -> Config:
    config = Config.fromfile(tiny.write_config(tmp_path / 'tiny.py', tiny.photos(tmp_path / 'data', 6), method='distill'))
    checkpoint = tiny.save_supernet(tmp_path / 'supernet.pth', method=tiny.distillation(dict(config.model.teacher)))
    config.work_dir = str(tmp_path / 'run')
    config.model.head.queue = 0.
    config.test_cfg.update(checkpoint=str(checkpoint), archs=2)
    return config


def search(config: Config, **test_cfg) -> pd.DataFrame:
    config.test_cfg.update(test_cfg)
    Runner.from_cfg(config).test()
    return pd.read_csv(f'{config.work_dir}/ranking.csv')


def test_a_search_with_the_frozen_teacher(config, tmp_path):
    table = search(config, reference='teacher', tasks=['c2-c5', 'z'])
    assert len(table) == 6 and table['c2-c5'].max() < 0
    found = json.loads((tmp_path / 'run' / 'best.json').read_text())['search']
    assert found['reference']['config'] == dict(config.model.teacher) and len(found['reference']['sha256']) == 64
    with pytest.raises(UserError, match='holds scores of another search .*reference was'):
        search(config, reference='max')


def test_a_search_with_max_does_without_the_teachers_file(config):
    config.model.teacher.checkpoint = 'elsewhere.pth'
    assert len(search(config)) == 6


@pytest.mark.parametrize('change, match', [
    (lambda config, folder: config.test_cfg.update(reference='nobody'), "reference is 'nobody'; choose 'max'"),
    (lambda config, folder: config.model.teacher.update(tiny.save_teacher(folder / 'other.pth', seed=1)),
     'other.pth is not the one that the supernet was trained with'),
    (lambda config, folder: config.model.teacher.update(checkpoint='none.pth'), 'none.pth: no such'),
])
def test_what_cannot_be_compared(config, tmp_path, change, match):
    config.test_cfg.reference = 'teacher'
    change(config, tmp_path)
    with pytest.raises(UserError, match=match):
        search(config)


def test_other_methods_have_no_frozen_teacher(tmp_path):
    config = Config.fromfile(tiny.write_config(tmp_path / 'tiny.py', tiny.photos(tmp_path / 'data', 6)))
    config.work_dir = str(tmp_path / 'run')
    config.test_cfg.checkpoint = str(tiny.save_supernet(tmp_path / 'supernet.pth'))
    with pytest.raises(UserError, match='a SupernetMoCo has no frozen one'):
        search(config, reference='teacher')
