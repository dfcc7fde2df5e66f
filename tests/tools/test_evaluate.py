"""tools/evaluate.py as a user calls it."""

import json

import pytest
import torch

from gaia_ssl.export import export_subnet
from tests import tiny

ARCH = tiny.SPACE[11]


@pytest.fixture
def paths(tmp_path):
    class Paths:
        root = tmp_path
        data = tiny.labelled_photos(tmp_path / 'data', train=10, val=3, size=16)
        checkpoint = tiny.save_supernet(tmp_path / 'supernet.pth')
        work = tmp_path / 'work'

    return Paths


def arguments(paths, *protocols: str, checkpoint=None) -> tuple:
    return (checkpoint or paths.checkpoint, '--data', paths.data, '--work-dir', paths.work, '--resolution', 16, '-k', 5,
            '--workers', 0, '--epochs', 1, '--batch-size', 8, '--protocol', *protocols)


def results(paths) -> dict:
    return {(result['protocol'], result['seed']): result['top1']
            for result in json.loads((paths.work / 'evaluation.json').read_text())['results']}


def test_protocols_seeds_and_resume(paths):
    """In processes of their own: what is finished is kept, what is asked for besides is added."""
    out = tiny.run_tool('evaluate.py', *arguments(paths, 'knn', 'semi-10'), '--seeds', 0, 1)
    assert out.returncode == 0, out.stderr
    first = results(paths)
    assert list(first) == [('knn', None), ('semi-10', 0), ('semi-10', 1)]
    assert f'{tiny.SPACE.max} at 16 px' in out.stdout and '30 training, 9 test images' in out.stdout
    mean, std = torch.tensor([first['semi-10', 0], first['semi-10', 1]]).mean(), abs(
        first['semi-10', 0] - first['semi-10', 1]) / 2**0.5
    row = next(line.split() for line in out.stdout.splitlines() if line.strip().startswith('semi-10 '))
    assert row == ['semi-10', f'{100 * mean:.1f}', f'{100 * std:.1f}', '2']

    written = (paths.work / 'runs' / 'semi-10_seed1' / 'epoch_1.pth').stat().st_mtime_ns
    out = tiny.run_tool('evaluate.py', *arguments(paths, 'linear-fast', 'semi-10', 'knn'), '--seeds', 1, 2, '--resume')
    assert out.returncode == 0, out.stderr
    second = results(paths)
    assert set(second) - set(first) == {('linear-fast', None), ('semi-10', 2)}
    assert {key: second[key] for key in first} == first
    assert (paths.work / 'runs' / 'semi-10_seed1' / 'epoch_1.pth').stat().st_mtime_ns == written


def test_a_used_folder(tool, paths):
    assert tool('evaluate', *arguments(paths, 'knn')) is None
    assert 'already holds a run' in tool('evaluate', *arguments(paths, 'knn'))
    line = tool('evaluate', *arguments(paths, 'knn'), '--resume', '--arch', ARCH)
    assert f'made with another arch ({tiny.SPACE.max}, now {ARCH})' in line
    line = tool('evaluate', *arguments(paths, 'knn'), '--resume', '-k', 4)
    assert 'made with another k (5, now 4)' in line
    assert tool('evaluate', *arguments(paths, 'linear-fast'), '--overwrite', '--arch', ARCH) is None
    assert list(results(paths)) == [('linear-fast', None)]


def test_data_that_changed_meanwhile(tool, paths):
    assert tool('evaluate', *arguments(paths, 'knn')) is None
    (paths.data / 'train' / 'red' / '000.png').rename(paths.data / 'train' / 'blue' / '999.png')
    assert 'made with another train (' in tool('evaluate', *arguments(paths, 'knn'), '--resume')


def test_another_name_of_the_test_folder(tool, paths):
    (paths.data / 'val').rename(paths.data / 'test')
    assert 'val: no such folder' in tool('evaluate', *arguments(paths, 'knn'))
    assert tool('evaluate', *arguments(paths, 'knn', 'linear'), '--val', 'test') is None


def test_bad_data_is_found_before_any_work(tool, paths):
    def line(*protocols):
        return tool('evaluate', *arguments(paths, *protocols))

    assert "'nn' is not a protocol" in line('knn', 'nn')
    assert '1% of the images is none in 3 of 3 classes' in line('knn', 'semi-1')
    assert 'needs at least 31 training images, there are 30' in tool('evaluate', *arguments(paths, 'knn'), '-k', 31)
    assert '--lr with several protocols that train' in tool('evaluate', *arguments(paths, 'linear', 'semi-10'), '--lr', 1)
    assert '--seeds has -1' in tool('evaluate', *arguments(paths, 'linear'), '--seeds', 0, -1)
    assert 'resolution is 0' in tool('evaluate', *arguments(paths, 'knn'), '--resolution', 0)
    assert 'workers is -1' in tool('evaluate', *arguments(paths, 'knn'), '--workers', -1)
    (paths.data / 'val' / 'red').rename(paths.data / 'val' / 'pink')
    assert 'only the former has pink; only the latter has red' in line('knn')
    flat = tiny.photos(paths.root / 'flat' / 'train', 3).parent
    assert 'no labels' in tool('evaluate', paths.checkpoint, '--data', flat, '--work-dir', paths.work)
    assert 'no such folder' in tool('evaluate', paths.checkpoint, '--data', paths.root / 'nowhere', '--work-dir', paths.work)
    assert not paths.work.exists()


def test_exported_backbones(tool, paths):
    path = export_subnet(str(paths.checkpoint), ARCH, str(paths.data / 'train'), paths.root / 'out', resolution=16,
                         report=lambda line: None)
    line = tool('evaluate', *arguments(paths, 'knn', checkpoint=path), '--arch', tiny.SPACE.min)
    assert f'holds the backbone {ARCH}, but --arch is {tiny.SPACE.min}' in line
    broken = torch.load(path)
    del broken['state_dict']['conv1.weight']
    torch.save(broken, paths.root / 'broken.pth')
    line = tool('evaluate', *arguments(paths, 'knn', checkpoint=paths.root / 'broken.pth'))
    assert 'does not match SubnetResNet' in line and 'conv1.weight' in line
    del broken['meta']['gaia_ssl']['mean']
    torch.save(broken, paths.root / 'broken.pth')
    assert 'does not say its mean' in tool('evaluate', *arguments(paths, 'knn', checkpoint=paths.root / 'broken.pth'))
    assert not paths.work.exists()
    assert tool('evaluate', *arguments(paths, 'knn', checkpoint=path), '--arch', ARCH) is None


def test_a_split_is_drawn(tool, paths):
    assert tool('draw_split', paths.data, '--percent', 20) is None
    path = paths.data / 'meta' / 'train_labeled_20percent.txt'
    lines = path.read_text().splitlines()
    assert len(lines) == 6 and all((paths.data / 'train' / line.split()[0]).is_file() for line in lines)
    assert 'already holds train_labeled_20percent.txt; replace it with' in tool('draw_split', paths.data, '--percent', 20)
    assert tool('draw_split', paths.data, '--percent', 20, '--seed', 1, '--overwrite') is None
    assert path.read_text().splitlines() != lines
    assert '1% of the images is none' in tool('draw_split', paths.data)
    assert 'no labels' in tool('draw_split', tiny.photos(paths.root / 'flat' / 'train', 3).parent)
