"""tools/search.py as real processes: alone, killed and resumed, and several at once."""

import json
import pathlib
import time
from types import SimpleNamespace

import pandas as pd
import pytest
from PIL import Image

from gaia_ssl import Arch
from gaia_ssl.checkpoint import file_hash
from tests import tiny

BATCHES = 8


@pytest.fixture(scope='module')
def search(tmp_path_factory) -> SimpleNamespace:
    """A config, a checkpoint, and the work folder of a search of 31 archs on 30 images that nothing disturbed."""
    root = tmp_path_factory.mktemp('search')
    test_cfg = dict(type='gaia_ssl.TaskAwareSearchLoop', tasks=['c2-c5', 'z'], archs='all', resolution=32,
                    group_edges=list(tiny.EDGES))
    config = tiny.write_config(root / 'tiny.py', tiny.photos(root / 'data', 30), test_cfg=test_cfg)
    checkpoint = tiny.save_supernet(root / 'supernet.pth')
    result = tiny.run_tool('search.py', config, checkpoint, '--work-dir', root / 'whole')
    assert result.returncode == 0, result.stderr
    return SimpleNamespace(config=config, checkpoint=checkpoint, whole=root / 'whole', out=result.stdout)


def ranking(folder: pathlib.Path) -> bytes:
    return (folder / 'ranking.csv').read_bytes()


def test_what_a_search_leaves(search):
    table = pd.read_csv(search.whole / 'ranking.csv', keep_default_na=False)
    assert len(table) == 31 and list(table)[:6] == ['arch', 'group', 'flops', 'params', 'c2-c5', 'z']
    assert (table['c2-c5'] < 0).all() and table['c2-c5'].is_monotonic_decreasing and table['z'].between(-1, 1).all()

    content = json.loads((search.whole / 'best.json').read_text())
    assert set(content['best']) == {'c2-c5', 'z'}
    for task, groups in content['best'].items():
        assert list(groups) == ['1.1-2M', '2-3M', '3-4.1M']
        for group, row in groups.items():
            rows = table[table['group'] == group]
            assert row['arch'] == rows.loc[rows[task].idxmax(), 'arch']
            assert row['similarity'] == pytest.approx(rows[task].max())
            assert row['flops'] == Arch.parse(row['arch']).flops(32, 3)
            assert row['params'] == Arch.parse(row['arch']).params(3)
            assert row['arch'] in search.out
    settings = content['search']
    assert settings['checkpoint_sha256'] == file_hash(search.checkpoint)
    assert (settings['images'], settings['batch_size'], settings['archs']) == (30, 4, 31)
    assert settings['features'] == ['c2', 'c3', 'c4', 'c5', 'z'] and settings['dtype'] == 'float32'

    with Image.open(search.whole / 'pareto.png') as picture:
        assert picture.format == 'PNG' and picture.size == (1536, 576)
    assert len(list((search.whole / 'scores').glob('*.npy'))) == BATCHES


def test_a_killed_search_goes_on_and_ends_the_same(search, tmp_path):
    command = search.config, search.checkpoint, '--work-dir', tmp_path / 'killed'
    scores = tmp_path / 'killed' / 'scores'
    process = tiny.start(tiny.sys.executable, tiny.ROOT / 'tools' / 'search.py', *command)
    while not (scores / 'batch_00001.npy').exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.005)
    tiny.kill(process)
    done = {path: path.stat().st_mtime_ns for path in scores.glob('batch_*.npy')}
    assert 2 <= len(done) < BATCHES and not (tmp_path / 'killed' / 'ranking.csv').exists()

    result = tiny.run_tool('search.py', *command, '--resume')
    assert result.returncode == 0, result.stderr
    assert ranking(tmp_path / 'killed') == ranking(search.whole)
    assert {path: path.stat().st_mtime_ns for path in done} == done
    assert f'{BATCHES - len(done)} of them to do here' in result.stdout


def test_two_processes_find_the_same(search, tmp_path):
    result = tiny.run_tool('dist_search.sh', search.config, search.checkpoint, 2, '--work-dir', tmp_path / 'two',
                           PORT=tiny.free_port())
    assert result.returncode == 0, result.stderr
    assert ranking(tmp_path / 'two') == ranking(search.whole)
    assert (tmp_path / 'two' / 'best.json').read_bytes() == (search.whole / 'best.json').read_bytes()
    assert result.stdout.count('Best subnet of each budget group') == 1
    assert '4 of them to do here' in result.stdout
