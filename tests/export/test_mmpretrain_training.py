"""mmpretrain's own tools on an exported backbone."""

import math
import re
import sys

import pytest
from mmengine.config import Config
from PIL import Image

from gaia_ssl.checkpoint import load_checkpoint
from gaia_ssl.evaluation import stratified_split, write_split
from gaia_ssl.export import downstream_config_path, export_subnet, fill_classifier
from gaia_ssl.export.toolbox import tool
from tests import tiny


@pytest.mark.slow
@pytest.mark.parametrize('task, iterations', [
    ('imagenet-linear', 4), ('imagenet-semi-1p', 2), ('imagenet-semi-10p', 2), ('classification', 2)])
def test_mmpretrain_trains_and_tests_the_export(tmp_path, task, iterations):
    """Two epochs of 60 images, or of 3 or 6."""
    data = tiny.labelled_photos(tmp_path / 'data', train=20, val=3, size=40)
    with Image.open(data / 'train' / 'red' / '003.png') as picture:
        picture.convert('L').save(data / 'train' / 'red' / '003.png')
    with Image.open(data / 'val' / 'red' / '001.png') as picture:
        picture.convert('RGBA').save(data / 'val' / 'red' / '001.png')
    files = [f'{name}/{index:03d}.png' for name in ('blue', 'green', 'red') for index in range(20)]
    labels = [label for label in range(3) for _ in range(20)]
    for percent, share in ((1, 0.05), (10, 0.1)):
        split = stratified_split(labels, 'bgr', share, 0)
        write_split(data / 'meta' / f'train_labeled_{percent}percent.txt', files, labels, split)
    checkpoint = tiny.save_supernet(tmp_path / 'supernet.pth')
    path = export_subnet(str(checkpoint), tiny.SPACE.max, str(data / 'train'), tmp_path / 'out', resolution=32,
                         report=lambda line: None)
    config = fill_classifier(Config.fromfile(downstream_config_path(task)), path, load_checkpoint(path)['meta']['gaia_ssl'],
                             data, resolution=32)
    exported = path.with_name(f'{task}.py')
    config.dump(exported)

    common = 'test_dataloader.num_workers=0', 'test_dataloader.persistent_workers=False'
    options = [f'{loader}.{option}' for loader in ('train_dataloader', 'val_dataloader')
               for option in ('num_workers=0', 'persistent_workers=False')]
    options += [*common, 'train_cfg.max_epochs=2', 'train_cfg.val_interval=2', 'default_hooks.logger.interval=1']
    result = tiny.run(sys.executable, tool('mmpretrain', 'train.py'), exported, '--work-dir', tmp_path / 'run',
                      '--cfg-options', *options)
    assert result.returncode == 0, result.stderr
    losses = re.findall(r'Epoch\(train\)\s+\[[12]\]\[\d/\d\].*?\bloss: ([\d.]+)', result.stdout)
    assert len(losses) == iterations and all(math.isfinite(float(loss)) for loss in losses), result.stdout[-3000:]
    trained = re.search(r'Epoch\(val\).*accuracy/top1: ([\d.]+)', result.stdout).group(1)

    result = tiny.run(sys.executable, tool('mmpretrain', 'test.py'), exported, tmp_path / 'run' / 'epoch_2.pth',
                      '--work-dir', tmp_path / 'test', '--cfg-options', *common)
    assert result.returncode == 0, result.stderr
    assert re.search(r'accuracy/top1: ([\d.]+)', result.stdout).group(1) == trained
    assert 'accuracy/top5' not in result.stdout  # of three classes
