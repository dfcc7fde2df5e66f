"""tools/search.py as real processes: alone, killed and resumed, several at once, and with a disk that fills."""

import json
import multiprocessing
import os
import pathlib
import signal
import sys
import time
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from gaia_ssl import Arch
from gaia_ssl.checkpoint import file_hash
from gaia_ssl.space import LatencyTable
from tests import tiny

BATCHES = 8


@pytest.fixture(scope='module')
def search(tmp_path_factory) -> SimpleNamespace:
    """A config, a checkpoint, and the work folder of a search of 32 archs on 30 images that nothing disturbed."""
    root = tmp_path_factory.mktemp('search')
    test_cfg = dict(type='gaia_ssl.TaskAwareSearchLoop', tasks=['c2-c5', 'z'], measure='paper', archs='all', resolution=32,
                    group_edges=list(tiny.EDGES), dtype='float32')
    config = tiny.write_config(root / 'tiny.py', tiny.photos(root / 'data', 30), test_cfg=test_cfg)
    checkpoint = tiny.save_supernet(root / 'supernet.pth')
    result = tiny.run_tool('search.py', config, checkpoint, '--work-dir', root / 'whole')
    assert result.returncode == 0, result.stderr
    return SimpleNamespace(config=config, checkpoint=checkpoint, whole=root / 'whole', out=result.stdout)


def ranking(folder: pathlib.Path) -> bytes:
    return (folder / 'ranking.csv').read_bytes()


def test_what_a_search_leaves(search):
    table = pd.read_csv(search.whole / 'ranking.csv', keep_default_na=False)
    assert len(table) == 32 and list(table)[:6] == ['arch', 'group', 'flops', 'params', 'c2-c5', 'z']
    assert (table['c2-c5'] < 0).all() and table['c2-c5'].is_monotonic_decreasing and table['z'].between(-1, 1).all()

    content = json.loads((search.whole / 'best.json').read_text())
    assert set(content['best']) == {'c2-c5', 'z'}
    for task, groups in content['best'].items():
        assert list(groups) == ['1.1-2M', '2-3M', '3-4.1M']
        for group, row in groups.items():
            rows = table[table['group'] == group]
            assert row['arch'] == rows.loc[rows[task].idxmax(), 'arch']
            assert row['similarity'] == pytest.approx(rows[task].max())
            assert row['low'] < row['similarity'] < row['high'] and 1 <= row['contenders'] <= row['archs'] == len(rows)
            assert row['flops'] == Arch.parse(row['arch']).flops(32, 3)
            assert row['params'] == Arch.parse(row['arch']).params(3)
            assert row['arch'] in search.out
    settings = content['search']
    assert settings['checkpoint_sha256'] == file_hash(search.checkpoint)
    assert (settings['images'], settings['batch_size'], settings['archs']) == (30, 4, 32)
    assert settings['quantities'] == ['c2', 'c3', 'c4', 'c5', 'z']
    assert settings['dtype'] == 'float32'

    with Image.open(search.whole / 'pareto.png') as picture:
        assert picture.format == 'PNG' and picture.size == (1536, 576)
    assert '</html>' in (search.whole / 'report.html').read_text(encoding='utf-8')
    assert sorted(path.name for path in (search.whole / 'scores').iterdir()) == ['0000.journal', 'settings.json']


def test_the_cost_is_said_beforehand(search):
    assert '32 archs on 30 images: 23.74 M multiply-adds an image, 3.2 times fewer than one forward each' in search.out
    assert "by the speed of the max arch's forward here" in search.out


def test_a_killed_search_goes_on_and_ends_the_same(search, tmp_path):
    command = search.config, search.checkpoint, '--work-dir', tmp_path / 'killed'
    journal = tmp_path / 'killed' / 'scores' / '0000.journal'
    process = tiny.start_tool('search.py', *command)
    while not (journal.exists() and journal.stat().st_size > 1000):
        assert process.poll() is None, process.communicate()
        time.sleep(0.005)
    tiny.kill(process)
    done = journal.read_bytes()
    assert not (tmp_path / 'killed' / 'ranking.csv').exists()

    result = tiny.run_tool('search.py', *command, '--resume')
    assert result.returncode == 0, result.stderr
    assert ranking(tmp_path / 'killed') == ranking(search.whole)
    assert journal.read_bytes()[:len(done) - 1000] == done[:-1000]
    assert 'units are done already' in result.stdout


def test_overwrite_waits_for_the_search_in_the_folder(search, tmp_path):
    """As does --resume; the one that is there ends as if nobody had tried."""
    folder, other = tmp_path / 'run', tiny.save_supernet(tmp_path / 'other.pth', seed=7)
    data = tiny.photos(tmp_path / 'data', 200)
    process = tiny.start_tool('search.py', search.config, search.checkpoint, '--data', data, '--work-dir', folder)
    while not (folder / 'scores' / '0000.journal').exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGSTOP)
    try:
        for checkpoint, flag in ((other, '--overwrite'), (search.checkpoint, '--resume')):
            result = tiny.run_tool('search.py', search.config, checkpoint, '--data', data, '--work-dir', folder, flag)
            assert result.returncode == 1 and result.stderr.startswith('error: ') and 'another run is writing' in result.stderr
    finally:
        os.killpg(process.pid, signal.SIGCONT)
    _, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    assert json.loads((folder / 'best.json').read_text())['search']['checkpoint_sha256'] == file_hash(search.checkpoint)


def search_here(config: str, checkpoint: str, folder: str) -> None:
    os.setpgrp()
    os.dup2(os.open(os.path.join(os.path.dirname(folder), 'output.log'), os.O_CREAT | os.O_WRONLY | os.O_APPEND), 1)
    sys.argv = ['search.py', config, checkpoint, '--work-dir', folder, '--resume']
    tool = tiny.load_tool('search')
    tool.cli.run(tool.main)


@pytest.mark.slow
def test_killed_at_twenty_random_moments(search, tmp_path):
    """SIGKILL at any moment of start, scoring and writing; whatever was left, going on leads to the same bytes."""
    context = multiprocessing.get_context('forkserver')
    context.set_forkserver_preload(['gaia_ssl.engine', 'gaia_ssl.search.outcome', 'tests.tiny'])
    rng = np.random.default_rng(0)

    def begin(folder):
        process = context.Process(target=search_here, args=(str(search.config), str(search.checkpoint), str(folder)))
        process.start()
        return process

    begin(tmp_path / 'warm').join()  # the first one starts the server
    start = time.monotonic()
    begin(tmp_path / 'timed').join()
    duration = time.monotonic() - start
    assert ranking(tmp_path / 'timed') == ranking(search.whole)

    kills, partly = 0, 0
    for run in range(100):
        folder = tmp_path / f'run{run}'
        while kills < 20:
            process = begin(folder)
            process.join(rng.uniform(0, duration))
            if not process.is_alive():
                break
            os.kill(process.pid, 9)
            process.join()
            kills += 1
            partly += any(path.stat().st_size for path in (folder / 'scores').glob('*.journal'))
        last = begin(folder)
        last.join()
        assert last.exitcode == 0
        assert ranking(folder) == ranking(search.whole)
        if kills == 20:
            break
    assert partly >= 3


@pytest.mark.parametrize('processes', [2, pytest.param(4, marks=pytest.mark.slow)])
def test_several_processes_find_the_same(search, tmp_path, processes):
    result = tiny.run_tool('dist_search.sh', search.config, search.checkpoint, processes, '--work-dir', tmp_path / 'many',
                           PORT=tiny.free_port())
    assert result.returncode == 0, result.stderr
    assert ranking(tmp_path / 'many') == ranking(search.whole)
    assert (tmp_path / 'many' / 'best.json').read_bytes() == (search.whole / 'best.json').read_bytes()
    assert result.stdout.count('Best subnet of each budget group') == 1
    journals = sorted((tmp_path / 'many' / 'scores').glob('*.journal'))
    assert len(journals) == processes and all(path.stat().st_size for path in journals)


def test_a_race_that_is_killed_goes_on_in_two_processes(search, tmp_path):
    command = search.config, search.checkpoint
    result = tiny.run_tool('search.py', *command, '--race', '--work-dir', tmp_path / 'one')
    assert result.returncode == 0, result.stderr
    assert 'round 2: ' in result.stdout and 'of the multiply-adds of the search in full' in result.stdout
    process = tiny.start(sys.executable, tiny.ROOT / 'tools' / 'search.py', *command, '--race', '--work-dir', tmp_path / 'two')
    journal = tmp_path / 'two' / 'scores' / 'round-1' / '0000.journal'
    while not (journal.exists() and journal.stat().st_size > 1000):
        assert process.poll() is None, process.communicate()
        time.sleep(0.005)
    tiny.kill(process)
    result = tiny.run_tool('dist_search.sh', *command, 2, '--race', '--resume', '--work-dir', tmp_path / 'two',
                           PORT=tiny.free_port())
    assert result.returncode == 0, result.stderr
    assert ranking(tmp_path / 'two') == ranking(tmp_path / 'one')
    assert (tmp_path / 'two' / 'best.json').read_bytes() == (tmp_path / 'one' / 'best.json').read_bytes()


def test_several_threads_find_the_same(search, tmp_path):
    result = tiny.run_tool('search.py', search.config, search.checkpoint, '--work-dir', tmp_path / 'threads',
                           '--cfg-options', 'test_cfg.threads=3')
    assert result.returncode == 0, result.stderr
    assert ranking(tmp_path / 'threads') == ranking(search.whole)


def test_a_dead_process_among_several_loses_nothing(search, tmp_path):
    folder = tmp_path / 'many'
    command = search.config, search.checkpoint, 2, '--work-dir', folder
    process = tiny.start('bash', tiny.ROOT / 'tools' / 'dist_search.sh', *command, PORT=tiny.free_port())
    journal = folder / 'scores' / '0001.journal'
    while not (journal.exists() and journal.stat().st_size > 300):
        assert process.poll() is None, process.communicate()
        time.sleep(0.005)
    workers = [int(pid) for pid in os.listdir('/proc') if pid.isdigit() and int(pid) != process.pid
               and is_worker(pathlib.Path('/proc', pid), str(folder))]
    assert len(workers) == 2
    os.kill(max(workers), 9)
    _, err = process.communicate(timeout=120)
    assert process.returncode != 0 and err.rstrip().splitlines()[-1].startswith('error: ')
    assert '--resume' in err.rstrip().splitlines()[-1]
    sizes = {path: path.stat().st_size for path in folder.glob('scores/*.journal')}

    result = tiny.run_tool('search.py', search.config, search.checkpoint, '--work-dir', folder, '--resume')
    assert result.returncode == 0, result.stderr
    assert ranking(folder) == ranking(search.whole)
    assert 'units are done already' in result.stdout and sum(sizes.values()) > 600


def is_worker(process: pathlib.Path, folder: str) -> bool:
    try:
        arguments = (process / 'cmdline').read_bytes().decode().split('\0')
    except OSError:
        return False
    return folder in arguments and 'launch.py' not in ' '.join(arguments[:2]) and 'search.py' in ' '.join(arguments[:3])


def test_a_full_disk_ends_in_one_line_and_keeps_the_scores(search, tmp_path):
    """A real limit on the size of files stands in for the full disk."""
    data = tiny.photos(tmp_path / 'data', 120)
    command = ['search.py', search.config, search.checkpoint, '--data', data, '--work-dir']
    limit = 40_000  # more than the log takes, and about half of the scores
    result = tiny.run_tool(*command, tmp_path / 'full', file_size=limit)
    assert result.returncode == 1
    last = result.stderr.rstrip().splitlines()[-1]
    assert last.startswith('error: ') and '0000.journal' in last and '--resume' in last and 'Logging' not in result.stderr
    assert 0 < (tmp_path / 'full' / 'scores' / '0000.journal').stat().st_size <= limit

    result = tiny.run_tool(*command, tmp_path / 'full', '--resume')
    assert result.returncode == 0, result.stderr
    assert tiny.run_tool(*command, tmp_path / 'whole').returncode == 0
    assert ranking(tmp_path / 'full') == ranking(tmp_path / 'whole')


def test_an_unreadable_image_is_skipped_and_named(search, tmp_path):
    data = tiny.photos(tmp_path / 'data', 30)
    (data / '011.png').write_bytes(b'no image')
    options = '--cfg-options', f'test_dataloader.dataset.data_root={data}'
    command = search.config, search.checkpoint, '--work-dir', tmp_path / 'run', *options
    result = tiny.run_tool('search.py', *command)
    assert result.returncode == 1 and '011.png' in result.stderr.rstrip().splitlines()[-1]
    result = tiny.run_tool('search.py', *command, 'test_cfg.max_unreadable=0.1', '--resume')
    assert result.returncode == 0, result.stderr
    assert 'unreadable image, skipped' in result.stdout and (tmp_path / 'run' / 'best.json').exists()


def test_budgets_on_the_command_line(search, tmp_path):
    result = tiny.run_tool('search.py', search.config, search.checkpoint, '--work-dir', tmp_path / 'run', '--flops', '2e6:3e6',
                           '--params', ':15e3', '--num-images', 8)
    assert result.returncode == 0, result.stderr
    table = pd.read_csv(tmp_path / 'run' / 'ranking.csv')
    whole = pd.read_csv(search.whole / 'ranking.csv')
    kept = whole[whole['flops'].between(2e6, 3e6) & (whole['params'] <= 15e3)]
    assert sorted(table['arch']) == sorted(kept['arch']) and 0 < len(table) < 32
    assert table['group'].unique().tolist() == ['flops in 2M:3M, params in :15K']


@pytest.mark.parametrize('arguments', [('--num-images', 1), ('--archs', 2, '--num-images', 4)])
def test_too_little_for_statistics(search, tmp_path, arguments):
    """Without intervals or agreement there is still a table."""
    result = tiny.run_tool('search.py', search.config, search.checkpoint, '--work-dir', tmp_path / 'run', *arguments)
    assert result.returncode == 0, result.stderr
    assert 'Best subnet of each budget group' in result.stdout and 'note: ' in result.stdout


def test_a_ranking_by_latency(search, tmp_path):
    table = tmp_path / 'latency.json'
    result = tiny.run_tool('measure_latency.py', table, '--config', search.config, '--resolution', 32, '--check', 0,
                           '--repeats', 1)
    assert result.returncode == 0, result.stderr
    latency = LatencyTable.load(table)
    bound = float(np.median(latency.of_space(tiny.SPACE)))
    result = tiny.run_tool('search.py', search.config, search.checkpoint, '--work-dir', tmp_path / 'run', '--num-images', 8,
                           '--latency-table', table, '--latency-ms', f':{bound!r}')
    assert result.returncode == 0, result.stderr
    ranked = pd.read_csv(tmp_path / 'run' / 'ranking.csv')
    assert set(ranked['arch']) == {str(arch) for arch in tiny.SPACE if latency.of(arch) <= bound}
    assert ranked['latency_ms'].max() <= bound and len(ranked) >= 16
    found = json.loads((tmp_path / 'run' / 'best.json').read_text())['search']
    assert 'batch_size 1' in found['latency'] and found['budgets'] == [f'latency_ms in :{bound:.10g}']


def test_archs_from_a_file(search, tmp_path):
    (tmp_path / 'archs.txt').write_text('8-8x2-8x1-16x2-16x1\n\n5-6x2-7x1-9x1-13x1\n')
    result = tiny.run_tool('search.py', search.config, search.checkpoint, '--work-dir', tmp_path / 'run',
                           '--archs', tmp_path / 'archs.txt')
    assert result.returncode == 0, result.stderr
    assert set(pd.read_csv(tmp_path / 'run' / 'ranking.csv')['arch']) == {'8-8x2-8x1-16x2-16x1', '5-6x2-7x1-9x1-13x1'}
