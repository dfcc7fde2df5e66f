import json

import pytest
import supernet_lab

from tests import tiny


@pytest.mark.slow
def test_a_lab_in_toy_size(tmp_path, monkeypatch):
    """Two variants, judged at both epochs; a second call trains nothing, and a run that was cut off goes on."""
    data = tiny.labelled_photos(tmp_path / 'data', train=24, val=4)
    (data / 'val').rename(data / 'test')
    work = tmp_path / 'work'
    monkeypatch.setattr('sys.argv', [
        'supernet_lab.py', '--cifar10', str(data), '--work-dir', str(work), '--out', str(tmp_path), '--variants', 'plain', 'all',
        '--seeds', '0', '--epochs', '2', '--judge-at', '1'])
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
