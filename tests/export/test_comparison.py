import json
import pathlib

import numpy as np
import pandas as pd
import pytest
import torch
from mmengine.config import Config

from gaia_ssl import Arch, ArchSpace, cli
from gaia_ssl.checkpoint import load_checkpoint
from gaia_ssl.errors import UserError
from gaia_ssl.export import prepare_task
from gaia_ssl.export.comparison import STARTS, Comparison, forget_weights, summary
from gaia_ssl.export.read_subnet import read_subnet
from tests import downstream_data, tiny
from tests.models import layouts

ARCH = Arch.parse('4-8x2-8x1-16x2-16x1')
FAST = {'train_dataloader.batch_size': 4, 'train_dataloader.num_workers': 0,
        'train_dataloader.persistent_workers': False, 'val_dataloader.num_workers': 0,
        'val_dataloader.persistent_workers': False}


def quiet(line: str) -> None:
    pass


@pytest.fixture
def data(tmp_path) -> pathlib.Path:
    for split, count in (('train', 4), ('val', 2)):
        for label, name in enumerate(('cats', 'dogs')):
            tiny.photos(tmp_path / 'data' / split / name, count, seed=label)
    return tmp_path / 'data'


@pytest.fixture
def checkpoint(tmp_path) -> str:
    return str(tiny.save_supernet(tmp_path / 'supernet.pth', stem_kernel=7))


def compare(checkpoint, data, folder, arch=ARCH, **kwargs) -> Comparison:
    task = prepare_task('classification', str(data), small=True, report=quiet)
    kwargs = dict(overrides=FAST, length=1, calibration=dict(resolution=64, batch_size=4), report=quiet, resume=True) | kwargs
    return Comparison(checkpoint, arch, task, str(folder), **kwargs)


@pytest.fixture
def exported(checkpoint, data, tmp_path) -> Comparison:
    comparison = compare(checkpoint, data, tmp_path / 'work')
    comparison.export()
    return comparison


def config_of(comparison: Comparison, start: str, seed: int = 0) -> Config:
    return Config.fromfile(comparison.write_config(start, seed, comparison.folder / 'runs' / f'{start}_seed{seed}'))


def test_what_is_compared(exported):
    archs = exported.archs
    assert archs['searched'] == archs['scratch'] == ARCH
    assert archs['resnet50'].depths == (2, 1, 2, 1) and archs['resnet50'].fits_in(tiny.SPACE.max)
    for start in ('searched', 'resnet50'):
        meta = load_checkpoint(exported.folder / 'exports' / start / 'backbone.pth')['meta']['gaia_ssl']
        assert meta['arch'] == str(archs[start]) and meta['calibration']['images'] == 8
    assert exported.flops('searched') == ARCH.flops(64)


def test_the_trainings_differ_in_their_start_and_seed_alone(exported):
    configs = {start: config_of(exported, start, seed=3).to_dict() for start in STARTS}
    assert {config.pop('experiment_name') for config in configs.values()} == {f'{start}_seed3' for start in STARTS}
    backbones = {start: config['model'].pop('backbone') for start, config in configs.items()}
    heads = {start: config['model']['head'].pop('in_channels') for start, config in configs.items()}
    assert configs['searched'] == configs['resnet50'] == configs['scratch']
    assert configs['searched']['randomness'] == dict(seed=3) and configs['searched']['train_cfg']['max_epochs'] == 1
    assert config_of(exported, 'searched', seed=4).randomness.seed == 4
    assert heads == {start: exported.archs[start].out_channels[-1] for start in STARTS}
    loaded = backbones['searched'].pop('init_cfg')
    assert loaded['checkpoint'] == str((exported.folder / 'exports' / 'searched' / 'backbone.pth').resolve())
    assert backbones['scratch'] == backbones['searched']
    assert 'resnet50' in backbones['resnet50']['init_cfg']['checkpoint']


def test_the_source_and_what_is_cut_out_of_it(data, tmp_path):
    """The oracle is mmpretrain's own ResNet, on batch statistics, as a calibrated backbone has them of all images."""
    net = layouts.resnet()
    torch.save(net.state_dict(), tmp_path / 'source.pth')
    space = ArchSpace.read('8-8x3-16x4-32x6-64x4')  # its last stage is deeper than the source's
    supernet = str(tiny.save_supernet(tmp_path / 'supernet.pth', space=space, stem_kernel=7))
    arch = Arch.parse('8-4x1-8x2-16x2-32x1')
    comparison = compare(supernet, data, tmp_path / 'work', arch, source=str(tmp_path / 'source.pth'))
    assert comparison.archs['cut'] == arch and str(comparison.archs['source']) == layouts.ARCH
    comparison.export()
    cut, source = (read_subnet(comparison.folder / 'exports' / start / 'backbone.pth')[0] for start in ('cut', 'source'))
    images = torch.rand(8, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    for each in (source, net):
        each.train()
    with torch.no_grad():
        found, expected = (each(images)[-1].mean(dim=(0, 2, 3)) for each in (source, net))
    torch.testing.assert_close(found.sort().values, expected.sort().values, rtol=1e-4, atol=1e-5)
    weights = source.state_dict()['conv1.weight']
    torch.testing.assert_close(cut.state_dict()['conv1.weight'], weights[:8])
    made = comparison.folder / 'exports' / 'source_supernet.pth'
    changed = made.stat().st_mtime_ns
    comparison.export()
    assert made.stat().st_mtime_ns == changed
    with pytest.raises(UserError, match='larger than the supernet'):
        compare(str(tiny.save_supernet(tmp_path / 'small.pth', stem_kernel=7)), data, tmp_path / 'other',
                source=str(tmp_path / 'source.pth'))


def test_weights_are_forgotten_wherever_they_are_loaded(tmp_path):
    ours = dict(type='Pretrained', checkpoint=str(tmp_path / 'backbone.pth'))
    other = dict(type='Pretrained', checkpoint='another.pth')
    config = Config(dict(model=dict(backbone=dict(arch='a', init_cfg=ours), neck=dict(init_cfg=other),
                                    roi_head=dict(shared_heads=[dict(stride=2, init_cfg=ours)]))))
    forget_weights(config, tmp_path / 'backbone.pth')
    assert config.model.to_dict() == dict(backbone=dict(arch='a'), neck=dict(init_cfg=other),
                                          roi_head=dict(shared_heads=[dict(stride=2)]))
    with pytest.raises(ValueError, match='not loaded'):
        forget_weights(config, tmp_path / 'backbone.pth')


def test_the_summary_by_hand():
    """Scores 1 3 5, 0 1 and 2 2 2: leads 1 2 and -1 1 3."""
    rows = [('searched', 0, 1.0), ('resnet50', 0, 0.0), ('scratch', 0, 2.0), ('searched', 1, 3.0), ('resnet50', 1, 1.0),
            ('scratch', 1, 2.0), ('searched', 2, 5.0), ('scratch', 2, 2.0)]
    table = pd.DataFrame([dict(start=start, arch='a', seed=seed, flops=1, params=2, m=value) for start, seed, value in rows])
    result = summary(table, ['m']).set_index('start')
    assert list(result.index) == list(STARTS) and list(result['runs']) == [3, 2, 3]
    np.testing.assert_allclose(result['m'], [3, 0.5, 2])
    np.testing.assert_allclose(result['m std'], [2, 0.5**0.5, 0])
    np.testing.assert_allclose(result['m lead'], [0, 1.5, 1])
    np.testing.assert_allclose(result['m lead std'], [0, 0.5**0.5, 2])


def test_another_comparison_in_the_folder(exported, checkpoint, data):
    with pytest.raises(UserError, match='made with another overrides'):
        compare(checkpoint, data, exported.folder, overrides={'randomness.deterministic': True})
    with pytest.raises(UserError, match='made with another archs'):
        compare(checkpoint, data, exported.folder, arch=tiny.SPACE.min)
    with pytest.raises(UserError, match='larger than the supernet'):
        compare(checkpoint, data, exported.folder / 'new', arch=Arch.parse('64-64x3-128x4-256x6-512x3'))
    for wrong, match in ((dict(gpus=0), 'gpus is 0'), (dict(length=0), 'length is 0; give 1 or more epochs'),
                         (dict(overrides={'train_cfg.max_iters': 9}), 'classification_small counts epochs; give --length'),
                         (dict(arch=Arch.parse('64-64x1-64x1-64x1-64x1')), 'larger than the supernet'),
                         (dict(checkpoint='nowhere.pth'), 'nowhere.pth')):
        before = sorted(exported.folder.rglob('*'))
        with pytest.raises(UserError, match=match):
            compare(**{**dict(checkpoint=checkpoint, data=data, folder=exported.folder, overwrite=True, resume=False), **wrong})
        assert sorted(exported.folder.rglob('*')) == before


def test_what_each_training_amounts_to(checkpoint, data, tmp_path):
    run = compare(checkpoint, data, tmp_path / 'work', gpus=2, length=6).run_summary
    assert (run.total_batch, run.iterations, run.epochs) == (8, 6, 6)
    assert run.lr == pytest.approx(0.01 * 8 / 32)


def test_a_backbone_that_does_not_fit_the_task_is_refused_at_once(tmp_path):
    data = downstream_data.coco(tmp_path / 'coco')
    task = prepare_task('coco-mask-rcnn', str(data), small=True, report=quiet)
    checkpoint = tiny.save_supernet(tmp_path / 'small_stem.pth', stem_kernel=3)
    with pytest.raises(UserError, match='3x3 stem'):
        Comparison(str(checkpoint), ARCH, task, str(tmp_path / 'work'))
    assert not (tmp_path / 'work').exists()


@pytest.mark.parametrize('found', [{}, {'coco/bbox_mAP': 0.25, 'coco/segm_mAP': 0.125}])
def test_a_detector_that_finds_nothing_has_the_score_0(found, tmp_path, monkeypatch):
    data = downstream_data.coco(tmp_path / 'coco')
    task = prepare_task('coco-mask-rcnn', str(data), small=True, report=quiet)
    checkpoint = tiny.save_supernet(tmp_path / 'supernet.pth', stem_kernel=7)
    comparison = Comparison(str(checkpoint), ARCH, task, str(tmp_path / 'work'), report=quiet)
    folder = tmp_path / 'work' / 'runs' / 'searched_seed0'

    def tools(words, log, report):
        (folder / 'iter_300.pth').touch()
        if 'test.py' in words[1]:
            (folder / 'test' / 'today').mkdir(parents=True)
            (folder / 'test' / 'today' / 'today.json').write_text(json.dumps(found))

    monkeypatch.setattr('gaia_ssl.export.comparison.run_logged', tools)
    monkeypatch.setattr(comparison, 'write_config', lambda start, seed, folder: folder.mkdir(parents=True))
    comparison.run('searched', 0)
    [row] = comparison.table().to_dict('records')
    assert (row['coco/bbox_mAP'], row['coco/segm_mAP']) == (found.get('coco/bbox_mAP', 0), found.get('coco/segm_mAP', 0))


def test_a_training_that_fails(exported):
    (exported.folder / 'exports' / 'searched' / 'backbone.pth').write_bytes(b'broken')
    with pytest.raises(UserError, match=r'backbone.pth: .*all output: .*output.log'):
        exported.run('searched', 0)
    assert exported.record.results == [] and not (exported.folder / 'comparison.csv').exists()


@pytest.fixture
def tool(monkeypatch, capsys):
    """``tool(*arguments)`` runs tools/compare_backbones.py in this process; its exit status and all that it said."""
    monkeypatch.setenv('TORCH_FORCE_WEIGHTS_ONLY_LOAD', '1')
    monkeypatch.setenv('COLUMNS', '120')

    def call(*arguments: object) -> tuple[int, str]:
        monkeypatch.setattr('sys.argv', ['tools/compare_backbones.py', *map(str, arguments)])
        try:
            cli.run(tiny.load_tool('compare_backbones').main)
        except SystemExit as exit:
            return exit.code, capsys.readouterr().err
        return 0, capsys.readouterr().out

    return call


@pytest.mark.slow
def test_real_trainings_are_compared_and_kept(checkpoint, data, tmp_path, tool):
    """With mmpretrain's own tool: one run, then the rest of them, then none."""
    work = tmp_path / 'work'
    options = [f'{key}={value}' for key, value in FAST.items()]
    command = [checkpoint, ARCH, '--for', 'classification', '--small', '--data', data, '--seeds', 0, '--work-dir', work,
               '--resolution', 64, '--max-images', 8, '--length', 1, '--cfg-options', *options]
    first = compare(checkpoint, data, work, calibration=dict(resolution=64, max_images=8))
    first.export()
    first.run('searched', 0)
    [kept] = json.loads((work / 'comparison.json').read_text())['results']
    status, said = tool(*command)
    assert status == 1 and 'already holds a run; continue it with --resume' in said
    status, said = tool(*command, '--resume')
    assert status == 0 and '(val)' not in said, said
    assert all(words in said for words in ('3/3 trainings', '(train)', '(test)', 'searched leads by')), said
    results = json.loads((work / 'comparison.json').read_text())['results']
    assert results[0] == kept and [result['protocol'] for result in results] == list(STARTS)
    table = pd.read_csv(work / 'comparison.csv')
    assert list(table['start']) == list(STARTS) and list(table['seed']) == [0] * 3
    assert table['accuracy/top1'].between(0, 100).all() and (table['seconds'] > 0).all()
    before = {path: path.stat().st_mtime_ns for path in work.rglob('*.pth')}
    assert tool(*command, '--resume')[0] == 0
    assert {path: path.stat().st_mtime_ns for path in work.rglob('*.pth')} == before


def test_nothing_but_a_comparison_is_replaced(exported, checkpoint, data, tool):
    work = exported.folder
    own = [work / 'runs' / 'events.tfevents', work / 'exports' / 'mine.txt', work / 'exports' / 'scratch' / 'mine.txt',
           work / 'runs' / 'mine' / 'epoch_1.pth']
    for path in own:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text('mine')
    made = work / 'exports' / 'searched' / 'backbone.pth'
    command = [checkpoint, ARCH, '--for', 'classification', '--small', '--data', data, '--work-dir', work, '--overwrite']
    for words, message in ((['--max-images', 0], 'number of images must be 1 or more'), (['--seeds', -1], '--seeds has -1'),
                           (['--resolution', 0], 'must be 1 or more')):
        status, said = tool(*command, *words)
        assert status == 1 and message in said and made.is_file(), said
    compare(checkpoint, data, work, resume=False, overwrite=True)
    assert not made.exists() and [path.read_text() for path in own] == ['mine'] * 4


def test_wrong_calls(checkpoint, data, tmp_path, tool):
    command = [checkpoint, ARCH, '--data', data, '--work-dir', tmp_path / 'work', '--for']
    for words, message in ((['imagenet'], "'imagenet' is not a downstream task; choose from coco-mask-rcnn"),
                           (['coco-mask-rcnn'], 'no data of this task in it'),
                           (['imagenet-semi-1p'], 'no such list of images'),
                           (['classification', '--gpus', '0'], 'gpus is 0')):
        status, said = tool(*command, *words)
        assert status == 1 and message in said and said.count('\n') == 1, said
    assert not (tmp_path / 'work' / 'exports').exists()
