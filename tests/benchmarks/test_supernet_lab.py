import json
from types import SimpleNamespace

import pytest
import supernet_lab
import torch
from mmengine.optim import OptimWrapper
from mmengine.registry import DefaultScope

from gaia_ssl.registry import MODELS
from tests import tiny


@pytest.mark.slow
def test_a_lab_in_toy_size(tmp_path, monkeypatch):
    """Two variants, judged at both epochs; a second call trains nothing, and a run that was cut off goes on."""
    data = tiny.labelled_photos(tmp_path / 'data', train=24, val=4)
    (data / 'val').rename(data / 'test')
    work = tmp_path / 'work'
    monkeypatch.setattr('sys.argv', [
        'supernet_lab.py', '--cifar10', str(data), '--work-dir', str(work), '--out', str(tmp_path), '--seeds', '0',
        '--variants', 'plain', 'all', '--epochs', '2', '--judge-at', '1'])
    supernet_lab.main()
    rows = json.loads((tmp_path / 'supernet_lab.json').read_text())['results']['rows']
    assert [(row['variant'], row['epoch'], row['arch']) for row in rows if row['arch'] == 'subnet'] == [
        ('all', 1, 'subnet'), ('all', 2, 'subnet'), ('plain', 1, 'subnet'), ('plain', 2, 'subnet')]
    assert {row['arch'] for row in rows if row['variant'] == 'all'} == {'subnet', 'max', 'min'}
    assert all(0 <= row[score] <= 100 for row in rows for score in ('knn', 'linear'))
    macs = {(row['variant'], row['epoch']): row['macs'] for row in rows}
    assert macs['plain', 2] == 2 * macs['plain', 1] == 2 * 64 * 4 * supernet_lab.Arch.parse(
        supernet_lab.SIZES['tiny'].subnet).flops(16, 3)
    assert (work / 'curves.png').stat().st_size > 0

    plain = work / 'mocov2_plain_0_2_0.002_tiny'
    (plain / 'epoch_2.pth').unlink()
    built, build = [], supernet_lab.build_runner
    monkeypatch.setattr(supernet_lab, 'build_runner', lambda config: built.append(config) or build(config))
    supernet_lab.main()
    again = json.loads((tmp_path / 'supernet_lab.json').read_text())['results']['rows']
    assert [config.experiment_name for config in built] == [plain.name]
    assert [{**row, 'seconds': 0} for row in again] == [{**row, 'seconds': 0} for row in rows]


@pytest.mark.parametrize('size', ['tiny', 'cifar'])
@pytest.mark.parametrize('method', supernet_lab.METHODS)
def test_each_method_steps_with_the_same_subnet_alone_and_in_the_supernet(tmp_path, method, size):
    arguments = SimpleNamespace(work_dir=tmp_path, size=size, judge_at=[1], probe_images=10)
    for variant in ('plain', 'supernet'):
        run = supernet_lab.Run(method, variant, seed=0, epochs=2, lr=1e-3, size=size)
        config = supernet_lab.config_of(run, arguments, tmp_path / run.name)
        with DefaultScope.overwrite_default_scope(config.default_scope):
            model = MODELS.build(config.model)
        space, subnet = model.backbone.space, supernet_lab.Arch.parse(supernet_lab.SIZES[size].subnet)
        assert subnet in space and (len(space) == 1) == (variant == 'plain')
        model.set_sandwich(0, {'min': space.min, 'max': space.max} if variant == 'supernet' else {'max': space.max})
        images = torch.randint(256, (8, 3, 16, 16), dtype=torch.uint8)
        log = model.train_step(dict(inputs=images, data_samples=torch.arange(8)),
                               OptimWrapper(torch.optim.AdamW(model.parameters())))
        assert log['loss'].isfinite() and log['loss'] > 0
