"""tools/export.py as a user calls it."""

import json

import pytest
import torch
from mmengine.config import Config

from gaia_ssl import cli
from gaia_ssl.checkpoint import file_hash
from gaia_ssl.export.verify import VerificationError
from tests import downstream_data, tiny

ARCH = '5-6x2-7x1-9x1-13x1'
OTHER = '4-4x1-8x1-8x1-16x1'
TASK = 'coco-mask-rcnn'
DEFAULT = {'README.md', 'backbone.pth', 'backbone.py', 'backbone.safetensors'}
"""Files of an export without tasks and further formats."""
CIFAR = 'mmpretrain::resnet/resnet18_8xb16_cifar10.py'


@pytest.fixture
def paths(tmp_path):
    class Paths:
        out = tmp_path / 'out'
        images = tiny.photos(tmp_path / 'images', 5)
        data = tmp_path / 'data'
        best = tmp_path / 'best.json'
        checkpoint = tiny.save_supernet(tmp_path / 'supernet.pth', stem_kernel=7)

    downstream_data.coco(Paths.data / 'coco')
    downstream_data.voc(Paths.data / 'VOCdevkit')
    downstream_data.cityscapes(Paths.data / 'cityscapes')
    best = {'c2-c5': {'1-2G': dict(arch='4-4x1-8x1-8x1-16x1', similarity=-0.5),
                      '3-4G': dict(arch=ARCH, similarity=-0.25, low=-0.3, high=-0.2, contenders=7)}}
    found = dict(checkpoint='supernet.pth', checkpoint_sha256=file_hash(Paths.checkpoint), images=8)
    Paths.best.write_text(json.dumps(dict(best=best, search=found)))
    return Paths


@pytest.fixture
def export(monkeypatch, capfd):
    """``export(*arguments)`` runs the tool in this process; what it printed, or its error line."""
    monkeypatch.setenv('TORCH_FORCE_WEIGHTS_ONLY_LOAD', '1')
    monkeypatch.setenv('COLUMNS', '120')

    def call(*arguments: object) -> str:
        monkeypatch.setattr('sys.argv', ['tools/export.py', *map(str, arguments)])
        capfd.readouterr()
        try:
            cli.run(tiny.load_tool('export').main)
        except SystemExit as exit:
            lines = capfd.readouterr().err.splitlines()
            assert exit.code == 1 and len(lines) == 1 and lines[0].startswith('error: '), (exit.code, lines)
            return lines[0]
        return capfd.readouterr().out

    return call


def files(folder) -> set[str]:
    return {path.name for path in folder.iterdir()}


def meta_of(paths) -> dict:
    return torch.load(paths.out / 'backbone.pth', weights_only=True)['meta']['gaia_ssl']


def test_all_tasks(export, paths):
    out = export(paths.checkpoint, ARCH, paths.out, '--for', 'all', '--data', paths.data, '--resolution', 32)
    assert files(paths.out) == {*DEFAULT, 'cityscapes-fcn.py', 'coco-mask-rcnn.py', 'voc-faster-rcnn-c4.py'}
    assert 'calibrating batch norm on 3 images of' in out  # the training images of the first task
    cells = [[part.strip() for part in line.split('│')[1:-1]] for line in out.splitlines() if '│' in line]
    rows = {name: row for name, *row in cells}
    assert rows['coco-mask-rcnn'] == ['2', '16 = 8 x 2', '0.02 SGD', '12', '12.0']
    assert rows['voc-faster-rcnn-c4'] == ['2', '16 = 8 x 2', '0.02 SGD', '24,000', '64000.0']
    assert rows['cityscapes-fcn'] == ['19', '16 = 4 x 4', '0.01 SGD', '40,000', '160000.0']
    for name in ('coco-mask-rcnn', 'voc-faster-rcnn-c4', 'cityscapes-fcn'):
        config = Config.fromfile(paths.out / f'{name}.py')
        assert config.model.backbone.arch == ARCH
        assert config.test_dataloader.dataset.data_root.startswith(str(paths.data))
    card = (paths.out / 'README.md').read_text()
    for text in (f'# {ARCH}', 'SupernetMoCo', 'dist_train.sh coco-mask-rcnn.py 8', 'test.py cityscapes-fcn.py',
                 'iter_24000.pth', file_hash(paths.checkpoint)[:16], 'features equal the supernet'):
        assert text in card


def test_an_earlier_export_is_replaced_whole(export, paths):
    export(paths.checkpoint, ARCH, paths.out, '--for', 'all', '--data', paths.data, '--resolution', 32, '--format', 'torch')
    for name in ('notes.txt', 'epoch_1.pth'):
        (paths.out / name).write_text('not ours')
    before = files(paths.out)
    again = (paths.out, '--images', paths.images, '--resolution', 32)
    assert 'already holds backbone.pth; replace the export in it with --overwrite' in export(paths.checkpoint, OTHER, *again)
    assert 'larger than the supernet' in export(paths.checkpoint, '64-64x1-64x1-64x1-64x1', *again, '--overwrite')
    assert 'no such' in export(paths.out / 'epoch_2.pth', OTHER, *again, '--overwrite')
    assert files(paths.out) == before and meta_of(paths)['arch'] == ARCH
    export(paths.checkpoint, OTHER, *again, '--overwrite')
    assert files(paths.out) == {*DEFAULT, 'notes.txt', 'epoch_1.pth'}
    assert meta_of(paths)['arch'] == OTHER


def test_an_export_that_fails_leaves_the_earlier_one(export, paths, monkeypatch):
    export(paths.checkpoint, ARCH, paths.out, '--for', TASK, '--data', paths.data, '--resolution', 32)
    before = {path.name: path.read_bytes() for path in paths.out.iterdir()}
    monkeypatch.setattr('gaia_ssl.export.formats.TOLERANCE', -1.0)
    with pytest.raises(VerificationError):
        export(paths.checkpoint, OTHER, paths.out, '--data', paths.images, '--resolution', 32, '--overwrite')
    assert {path.name: path.read_bytes() for path in paths.out.iterdir()} == before


def test_the_supernet_is_not_replaced(export, paths):
    checkpoint = paths.checkpoint.rename(paths.checkpoint.with_name('backbone.pth'))
    before = checkpoint.read_bytes()
    for flags in ([], ['--overwrite']):
        line = export(checkpoint, ARCH, checkpoint.parent, '--data', paths.images, *flags)
        assert 'the supernet itself would be replaced; choose another folder' in line
    assert checkpoint.read_bytes() == before


@pytest.mark.parametrize('begin, end', [('plain', "john's"), ("john's", 'plain'), ('both \' and "', 'both " and \'')])
def test_the_folder_can_be_moved(export, paths, tmp_path, begin, end):
    export(paths.checkpoint, ARCH, tmp_path / begin, '--for', 'voc-faster-rcnn-c4', '--data', paths.data, '--resolution', 32)
    folder = (tmp_path / begin).rename(tmp_path / f'moved {end}')
    model = Config.fromfile(folder / 'voc-faster-rcnn-c4.py').model
    for part in (model.backbone, model.roi_head.shared_head):
        assert part.init_cfg.checkpoint == str(folder / 'backbone.pth')


@pytest.mark.parametrize('name', ['README.md', 'classification.py', 'backbone.onnx'])
def test_a_file_of_the_user_is_left(export, paths, name):
    paths.out.mkdir()
    (paths.out / name).write_text('mine')
    for flags in ([], ['--overwrite']):
        line = export(paths.checkpoint, ARCH, paths.out, '--images', paths.images, *flags)
        assert f'{name} is not that of an export' in line
    assert (paths.out / name).read_text() == 'mine'


def test_all_and_another(export, paths):
    (paths.data / 'imagenet').symlink_to(tiny.labelled_photos(paths.data.parent / 'labelled'))
    export(paths.checkpoint, ARCH, paths.out, '--for', 'all', '--for', 'imagenet-linear', '--data', paths.data, '--images',
           paths.images, '--resolution', 32)
    assert {'cityscapes-fcn.py', 'coco-mask-rcnn.py', 'imagenet-linear.py', 'voc-faster-rcnn-c4.py'} <= files(paths.out)


def test_some_tasks_small_on_other_images(export, paths):
    out = export(paths.checkpoint, ARCH, paths.out, '--for', 'voc-faster-rcnn-c4', '--for', 'cityscapes-fcn', '--small',
                 '--data', paths.data, '--images', paths.images, '--resolution', 32)
    assert files(paths.out) == {*DEFAULT, 'cityscapes-fcn_small.py', 'voc-faster-rcnn-c4_small.py'}
    assert f'5 images of {paths.images}' in out


def test_only_the_training_images_of_voc_calibrate(export, paths):
    export(paths.checkpoint, ARCH, paths.out, '--for', 'voc-faster-rcnn-c4', '--data', paths.data, '--resolution', 32)
    assert meta_of(paths)['calibration']['images'] == 3


@pytest.mark.parametrize('order', [
    ('CHECKPOINT', 'ARCH', '--data', 'IMAGES', 'OUT'),
    ('CHECKPOINT', 'ARCH', 'OUT', '--data', 'IMAGES'),
    ('--images', 'IMAGES', 'CHECKPOINT', 'ARCH', 'OUT'),
])
def test_the_backbone_alone(export, paths, order):
    words = dict(CHECKPOINT=paths.checkpoint, ARCH=ARCH, OUT=paths.out, IMAGES=paths.images)
    out = export(*(words.get(word, word) for word in order), '--resolution', 32)
    assert files(paths.out) == DEFAULT and '--for TASK' in out
    assert meta_of(paths)['arch'] == ARCH


def test_into_a_config(export, paths):
    flags = ('--data', paths.images, '--resolution', 32)
    out = export(paths.checkpoint, ARCH, paths.out, '--into', CIFAR, *flags)
    name = 'into_resnet18_8xb16_cifar10.py'
    assert files(paths.out) == {*DEFAULT, name}
    assert 'model.head.in_channels: 512 -> 52' in out and f'{paths.out}/{name}' in out.replace('\n', '')
    config = Config.fromfile(paths.out / name)
    assert config.model.backbone.init_cfg.checkpoint == str(paths.out / 'backbone.pth')
    assert config.train_dataloader == cli.read_config(CIFAR).train_dataloader
    assert f'train.py {name}' in (paths.out / 'README.md').read_text()
    export(paths.checkpoint, OTHER, paths.out, *flags, '--overwrite')
    assert name not in files(paths.out)


def test_further_formats(export, paths):
    out = export(paths.checkpoint, ARCH, paths.out, '--data', paths.images, '--resolution', 32, '--format', 'torch,onnx')
    assert files(paths.out) == {*DEFAULT, 'backbone.onnx', 'backbone.pt2'} - {'backbone.safetensors'}
    assert out.count('computes what PyTorch does') == 2


def test_the_winner_of_a_search(export, paths):
    export(paths.checkpoint, paths.out, '--from', paths.best, '--group', '3-4', '--for', 'coco-mask-rcnn', '--data', paths.data,
           '--resolution', 32)
    meta = meta_of(paths)
    assert (meta['arch'], meta['search']['group']) == (ARCH, '3-4G') and meta['search']['scores']['contenders'] == 7
    card = (paths.out / 'README.md').read_text()
    for text in ('c2-c5 | -0.25, 95 % interval -0.3 to -0.2', '7 archs may be it (95 %)', '8 images'):
        assert text in card


@pytest.mark.parametrize('arguments, message', [
    (['ARCH', '--for', 'coco'], "'coco' is not a downstream task; choose from coco-mask-rcnn"),
    (['ARCH', '--for', TASK], 'give --data: the data of the tasks'),
    (['ARCH'], 'give --data: a folder of images'),
    (['--data', 'IMAGES'], 'give ARCH, or a search with --from'),
    (['ARCH', '--from', 'BEST', '--data', 'IMAGES'], 'give ARCH, or a search with --from, and not both'),
    (['ARCH', '--group', '3-4', '--data', 'IMAGES'], '--group and --features choose a winner of'),
    (['ARCH', '--for', TASK, '--data', 'IMAGES'], 'no data of this task in it'),
    (['--from', 'BEST', '--for', 'cityscapes-fcn', '--data', 'DATA'], 'has no winner for c4-c5, but for c2-c5'),
    (['--from', 'BEST', '--for', TASK, '--data', 'DATA', '--group', '5-6'], "has no group '5-6'"),
    (['ARCH', '--data', 'IMAGES', '--format', 'tflite'], "'tflite' is not a format; choose from onnx"),
    (['ARCH', '--data', 'IMAGES', '--resolution', '0'], 'resolution, batch size and number of images must be 1 or more'),
    (['ARCH', '--into', 'absent.py', '--data', 'IMAGES'], 'absent.py: no such config file'),
    (['ARCH', '--into', 'mmseg::fcn/a.py', '--data', 'IMAGES'], 'configs can be named by gaia_ssl::, mmdet::'),
    (['ARCH', '--into', CIFAR], 'give --data: a folder of images'),
    (['ARCH', '--into', CIFAR, '--into', 'COPY', '--data', 'IMAGES'], 'two configs are called resnet18_8xb16_cifar10'),
    (['9-8x1-8x1-8x1-8x1', '--for', 'all', '--data', 'DATA'], 'larger than the supernet'),
])
def test_wrong_calls(export, paths, arguments, message):
    copy = paths.data / 'resnet18_8xb16_cifar10.py'
    copy.write_text(f"_base_ = '{CIFAR}'")
    words = dict(ARCH=ARCH, IMAGES=paths.images, DATA=paths.data, BEST=paths.best, COPY=copy)
    assert message in export(paths.checkpoint, *(words.get(word, word) for word in arguments), paths.out)
    assert not (paths.out / 'backbone.pth').exists()


def test_a_checkpoint_that_is_none(export, paths):
    """What an export wrote is no supernet."""
    export(paths.checkpoint, ARCH, paths.out, '--data', paths.images, '--resolution', 32)
    line = export(paths.out / 'backbone.pth', ARCH, paths.data / 'again', '--data', paths.images)
    assert 'backbone.pth: an exported backbone, not a supernet' in line


def test_other_features_winner(export, paths):
    export(paths.checkpoint, paths.out, '--from', paths.best, '--group', '1-2', '--features', 'c2-c5', '--for',
           'cityscapes-fcn', '--data', paths.data, '--resolution', 32)
    assert Config.fromfile(paths.out / 'cityscapes-fcn.py').model.backbone.arch == '4-4x1-8x1-8x1-16x1'
