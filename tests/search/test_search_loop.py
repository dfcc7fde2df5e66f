"""The search loop inside this process."""


import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner
from PIL import Image

from gaia_ssl.engine import TaskAwareSearchLoop
from gaia_ssl.errors import UserError
from gaia_ssl.models import extract_subnet
from gaia_ssl.precision import computes_bfloat16
from gaia_ssl.search import MEASURES, ForwardEvaluator
from tests import tiny
from tests.search.loop import runner, start_over, table
from tests.search.measures.test_between_images import by_hand as between_by_hand
from tests.search.measures.test_paper import by_hand


def test_the_loop_returns_the_winners(paths, batches):
    result = runner(paths).test()
    assert batches == [3, 3, 4]
    assert set(result) == {f'{task}/{group}' for task in ('c2-c5', 'z') for group in ('1.1-2M', '2-3M', '3-4.1M')}
    rows = table(paths)
    assert len(rows) == 12  # 4 of each group
    for name, value in result.items():
        task, group = name.split('/')
        assert value == pytest.approx(rows[rows['group'] == group][task].max())


def test_the_score_is_the_mean_over_images_and_stages(paths):
    """From the files on disk to the table, by hand: PIL, NumPy and networks in training mode."""
    runner(paths, archs=[str(tiny.SPACE[9])], tasks=['c2-c5']).test()
    model = tiny.supernet().train()
    model.backbone.out_indices = model.teacher['backbone'].out_indices = (0, 1, 2, 3)
    model.backbone.set_arch(tiny.SPACE[9])
    pictures = []
    for path in sorted((paths[0].parent / 'data').iterdir()):
        with Image.open(path) as picture:
            assert picture.size == (40, 40)
            pictures.append(np.asarray(picture.resize((36, 36), Image.BILINEAR))[2:34, 2:34])
    pictures = (np.stack(pictures) - np.array(tiny.PREPROCESSOR['mean'])) / np.array(tiny.PREPROCESSOR['std'])
    images = torch.from_numpy(pictures).float().permute(0, 3, 1, 2)
    scores = []
    for batch in images.split([3, 3, 4]):
        with torch.no_grad():
            student, teacher = model.backbone(batch), model.teacher['backbone'](batch)
        scores.append([by_hand(s, t, 0.2) for s, t in zip(student, teacher, strict=True)])
    expected = np.concatenate(scores, axis=1).mean()
    assert table(paths)['c2-c5'].item() == pytest.approx(expected, rel=1e-4)


def test_images_are_related_to_one_another(tmp_path):
    """From the supernet's features to the table, by hand: two batches of images, scores brought to one scale."""
    paths = (tiny.write_config(tmp_path / 'tiny.py', tiny.photos(tmp_path / 'data', 70)),
             tiny.save_supernet(tmp_path / 'supernet.pth'))
    config = Config.fromfile(paths[0])
    config.test_dataloader.batch_size = 64
    config.test_cfg.update(checkpoint=str(paths[1]), archs='all', tasks=['z'], measure='combined')
    config.work_dir = str(tmp_path / 'run')
    search = Runner.from_cfg(config)
    result = search.test()
    model, loop = tiny.supernet(), search.test_loop
    scored = ForwardEvaluator(model, ('gap:relations', 'gap:readout'))
    archs, scores = list(tiny.SPACE), []
    for batch in loop.batches.loader([0, 1]):
        images = model.data_preprocessor(batch, False)['inputs']
        assert len(images) == 35
        twins, teacher = [], extract_subnet(model.teacher['backbone'], tiny.SPACE.max).train()
        with torch.no_grad():
            for arch in archs:
                twins.append(extract_subnet(model.backbone, arch).train()(images)[-1].mean(dim=(2, 3)))
            taught = teacher(images)[-1].mean(dim=(2, 3))
        expected = [[between_by_hand(name, twin, taught) for name in ('relations', 'readout')] for twin in twins[::7]]
        scores.append(scored.score(images, archs).numpy())
        np.testing.assert_allclose(scores[-1][::7], expected, rtol=1e-2, atol=1e-3)
    rows = table(paths).set_index('arch').loc[list(map(str, archs))]
    means = np.concatenate(scores, axis=2).mean(axis=2)
    np.testing.assert_allclose(rows[['gap:relations', 'gap:readout']], means, rtol=1e-5)
    spread = rows.groupby('group')[['gap:relations', 'gap:readout']].transform(lambda values: values - values.mean())
    units = np.sqrt((spread**2).mean())
    np.testing.assert_allclose(rows['z'], ((means - means.mean(axis=0)) / units.to_numpy()).mean(axis=1), rtol=1e-4, atol=1e-4)
    assert result['z/2-3M'] == pytest.approx(rows[rows['group'] == '2-3M']['z'].max())


def test_a_config_of_pure_python(paths):
    """In which types are classes."""
    text = Config.fromfile(paths[0]).pretty_text
    assert "type='gaia_ssl.DynamicResNet'" in text
    paths[0].write_text('from mmengine.config import read_base\nfrom gaia_ssl.models.backbones import DynamicResNet\n'
                        + text.replace("type='gaia_ssl.DynamicResNet'", 'type=DynamicResNet'))
    runner(paths).test()
    runner(paths).test()
    assert len(table(paths)) == 12


def test_a_part_of_the_images_is_evenly_spaced(paths, batches):
    runner(paths, num_images=5).test()
    assert batches == [2, 3]
    part = table(paths)
    for index in (1, 3, 5, 7, 9):
        (paths[0].parent / 'data' / f'{index:03d}.png').unlink()
    start_over(paths)
    runner(paths).test()
    assert table(paths).equals(part)


def test_bfloat16_scores_resemble_float32_scores(paths):
    runner(paths).test()
    exact = table(paths).set_index('arch').sort_index()
    start_over(paths)
    runner(paths, dtype='bfloat16').test()
    rough = table(paths).set_index('arch').sort_index()
    assert not rough['c2-c5'].equals(exact['c2-c5'])
    np.testing.assert_allclose(rough['c2-c5'], exact['c2-c5'], rtol=0.1)


def test_no_batch_is_much_smaller_than_the_others(paths, batches):
    runner(paths, num_images=9).test()
    assert batches == [3, 3, 3]


@pytest.mark.parametrize('name', ['backbone.conv1.weight', 'teacher.backbone.conv1.weight', 'neck.mlp.0.weight'])
def test_weights_that_are_none(paths, name):
    checkpoint = torch.load(paths[1], weights_only=True)
    for change in (torch.Tensor.long, lambda value: value.to(torch.complex64), lambda value: value * torch.nan):
        state = dict(checkpoint['state_dict'], **{name: change(checkpoint['state_dict'][name])})
        torch.save(dict(checkpoint, state_dict=state), paths[1])
        with pytest.raises(UserError, match='is of type|not finite'):
            runner(paths).test()


@pytest.mark.parametrize('measure', MEASURES)
def test_features_that_are_not_finite(paths, measure):
    checkpoint = torch.load(paths[1], weights_only=True)
    checkpoint['state_dict']['backbone.layer4.0.conv3.weight'][:] = 3e38
    torch.save(checkpoint, paths[1])
    tiny.photos(paths[0].parent / 'data', 32)
    config = Config.fromfile(paths[0])
    config.test_dataloader.batch_size = 32
    config.test_cfg.update(checkpoint=str(paths[1]), measure=measure)
    config.work_dir = str(paths[0].parent / 'run')
    with pytest.raises(UserError, match='features are not finite'):
        Runner.from_cfg(config).test()


def test_the_default_dtype_is_what_the_machine_is_fast_at(paths):
    native = 'bfloat16' if computes_bfloat16() else 'float32'
    for started in ('float32', 'bfloat16', None):
        runner(paths, dtype=started, num_images=4).test()
        chosen = runner(paths, dtype=None, num_images=4)  # goes on, on whatever machine
        chosen.test()
        assert chosen.test_loop.dtype == (started or native)
        start_over(paths)


@pytest.mark.parametrize('settings, message', [
    (dict(tasks=['c9']), "'c9' is not a task"),
    (dict(dtype='float8'), 'choose from float32, bfloat16'),
    (dict(group_edges=[2e6, 1e6]), 'ascending'),
    (dict(checkpoint=None), 'no checkpoint'),
    (dict(measure='flops'), "'flops' is not a measure"),
    (dict(measure='combined'),
     r"task c2-c5 relates the images .* needs 32 or more in each, but one has 3 of 10: .*measure=paper"),
])
def test_bad_settings(paths, settings, message):
    with pytest.raises(UserError, match=message):
        assert isinstance(runner(paths, **settings).test_loop, TaskAwareSearchLoop)


def test_a_checkpoint_of_another_model_is_refused(paths):
    checkpoint = torch.load(paths[1])
    checkpoint['state_dict'].pop('teacher.backbone.conv1.weight')
    torch.save(checkpoint, paths[1])
    with pytest.raises(UserError, match='does not match the model .*teacher.backbone.conv1.weight') as info:
        runner(paths).test()
    assert '\n' not in str(info.value)


def test_too_many_unreadable_images_stop_the_search(paths):
    (paths[0].parent / 'data' / '003.png').write_text('no picture')
    with pytest.raises(UserError, match=r'1 of 10 images \(10\.0%\) cannot be read: .*003\.png'):
        runner(paths).test()
    runner(paths, max_unreadable=0.1).test()
    assert len(table(paths)) == 12
