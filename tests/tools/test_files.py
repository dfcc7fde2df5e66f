"""Masks beside the images, from training to the exported backbone: left out once, left out all the way."""

import json
import re

import pytest
from PIL import Image

from gaia_ssl.checkpoint import load_checkpoint
from tests import tiny


@pytest.fixture
def paths(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for folder in ('train/a', 'train/b', 'val/a', 'val/b'):
        for path in tiny.photos(tmp_path / 'data' / folder, 40 if 'train' in folder else 3).iterdir():
            Image.open(path).save(path.with_suffix('.jpg'))
            Image.new('L', (40, 40)).save(path)
    return tmp_path


def test_the_whole_way(tool, paths, capfd, monkeypatch):
    """The search knows no config; 'paths' hold 80 images to train on, and a mask of each."""
    config = tiny.write_config(paths / 'tiny.py', paths / 'elsewhere', epochs=1)
    train = ['--data', paths / 'data' / 'train', '--exclude', '*.png', '--resolution', 24, '--work-dir', paths / 'run']
    assert tool('train', config, *train) is None
    shown = capfd.readouterr().out
    assert f'80 images: 80 .jpg in {paths}/data/train' in shown and 'Epoch(train) [1][10/10]' in shown
    checkpoint = paths / 'run' / 'epoch_1.pth'
    meta = load_checkpoint(checkpoint)['meta']['gaia_ssl']
    assert meta['resolution'] == 24 and meta['files'] == dict(exclude=['*.png'])

    alone = ['--checkpoint', checkpoint, '--data', paths / 'data' / 'train', '--task', 'c5', '--num-images', 40]
    wrong = ['--overwrite', '--cfg-options', 'model.type=Foo']
    assert 'there is no model of the type Foo; mend it' in tool('train', config, *train, *wrong)
    assert 'give --data, too' in tool('search', *alone[:2])
    assert 'in place of CONFIG' in tool('search', config, *alone)
    assert 'give CONFIG and CHECKPOINT, CONFIG and --checkpoints' in tool('search', config)
    assert tool('search', *alone, '--work-dir', paths / 'all') is None
    assert "leave them out with --exclude '*.png'" in capfd.readouterr().out
    assert tool('search', *alone, '--exclude', '*.png', '--work-dir', paths / 'found') is None
    found = json.loads((paths / 'found' / 'best.json').read_text())
    assert found['search']['files'] == dict(exclude=['*.png']) and found['search']['resolution'] == 24
    page = (paths / 'found' / 'report.html').read_text()
    shown = json.loads(re.search(r'<script type="application/json"[^>]*>(.*?)</script>', page, re.DOTALL)[1])
    assert "--exclude '*.png' --resolution 24" in shown['exportCommand']

    group = next(iter(found['best']['c5']))
    export = [checkpoint, paths / 'out', '--from', paths / 'found' / 'best.json', '--group', group, '--features', 'c5',
              '--for', 'classification']
    assert tool('export', *export, '--data', paths / 'data') is None
    assert "--exclude '*.png', as in the search" in capfd.readouterr().out
    assert load_checkpoint(paths / 'out' / 'backbone.pth')['meta']['gaia_ssl']['calibration']['images'] == 80
    assert "exclude=[\n" in (paths / 'out' / 'classification.py').read_text()

    judged = ['--data', paths / 'data', '--exclude', '*.png', '-k', 2, '--workers', 0]
    assert tool('evaluate', paths / 'out' / 'backbone.pth', *judged) is None
    assert '80 training, 6 test images' in capfd.readouterr().out
