"""The config that a tool runs: a file, or the name of one that comes with a package."""

import argparse
from importlib.metadata import PackageNotFoundError

import pytest
from mmengine.config import Config

from gaia_ssl import cli
from gaia_ssl.errors import UserError
from tests import tiny


def test_a_config_that_comes_with_gaia_ssl(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = cli.read_config('gaia_ssl::data/mocov2_r_supernet.py')
    assert config.to_dict() == Config.fromfile(tiny.ROOT / 'configs' / 'data' / 'mocov2_r_supernet.py').to_dict()


def test_a_config_of_mmdet():
    mmdet = pytest.importorskip('mmdet')
    name = 'retinanet/retinanet_r50_fpn_1x_coco.py'
    assert cli.read_config(f'mmdet::{name}').to_dict() == Config.fromfile(f'{mmdet.__path__[0]}/.mim/configs/{name}').to_dict()


@pytest.mark.parametrize('name, message', [
    ('mmseg::fcn/fcn_r50-d8_4xb2-40k_cityscapes-512x1024.py',
     'configs can be named by gaia_ssl::, mmdet::, mmpretrain:: only; give the file itself'),
    ('other::a/b.py', 'configs can be named by gaia_ssl::, mmdet::, mmpretrain:: only'),
    ('gaia_ssl::data/mocov2_supernet.py', 'no such config; did you mean gaia_ssl::data/mocov2_r_supernet.py?'),
    ('gaia_ssl::', 'no such config; gaia_ssl has its configs in '),
    ('mmdet::nothing/like-this.py', 'no such config; '),
    ('nowhere.py', 'no such config file'),
])
def test_a_config_that_cannot_be_had(name, message):
    with pytest.raises(UserError, match='^[^\n]*$') as caught:
        cli.read_config(name)
    assert str(caught.value).startswith(f'{name}: {message}')


def test_a_package_that_is_not_installed(monkeypatch):
    def missing(package):
        raise PackageNotFoundError(package)

    monkeypatch.setattr('gaia_ssl.cli.configs.get_installed_path', missing)
    with pytest.raises(UserError, match='^mmdet::a/b.py: mmdet is not installed$'):
        cli.read_config('mmdet::a/b.py')


@pytest.mark.parametrize('name', ['my images', 'photos, 2023', '2024', '[a]=(b)'])
def test_data_are_taken_as_typed(tmp_path, monkeypatch, name):
    (tmp_path / name).mkdir()
    monkeypatch.setenv('HOME', str(tmp_path))
    monkeypatch.chdir(tmp_path)
    for typed, meant in ((name, name), (f'~/{name}', str(tmp_path / name)), (str(tmp_path / name), str(tmp_path / name))):
        config = Config(dict(train_dataloader=dict(dataset=dict(data_root='elsewhere'))))
        cli.set_data(config, 'train_dataloader', typed)
        assert config.train_dataloader.dataset.data_root == meant


def test_data_that_are_not_there_or_not_asked_for(tmp_path):
    config = Config(dict(train_dataloader=dict(dataset=dict(data_root='elsewhere')), test_dataloader=None))
    cli.set_data(config, 'train_dataloader', None)
    assert config.train_dataloader.dataset.data_root == 'elsewhere'
    with pytest.raises(UserError, match='--data nowhere: no such folder'):
        cli.set_data(config, 'train_dataloader', 'nowhere')
    with pytest.raises(UserError, match='the config has no test_dataloader'):
        cli.set_data(config, 'test_dataloader', str(tmp_path))


def test_options_that_the_config_cannot_take(tmp_path):
    config = tiny.write_config(tmp_path / 'tiny.py', tmp_path)
    for word, message in ((('param_scheduler.9.end', 3), 'not a setting of the config'),
                          (('train_dataloader.batch_size', 0), 'batch_size is 0'),
                          (('train_dataloader.batch_size', ''), "batch_size is ''")):
        arguments = argparse.Namespace(config=str(config), launcher='none', local_rank=0, work_dir=None,
                                       cfg_options=dict([word]))
        with pytest.raises(UserError, match=message):
            cli.load_config(arguments)


@pytest.mark.slow
def test_a_run_on_a_folder_with_spaces_and_commas(tmp_path):
    """Training, then a search of what it trained, into a work dir below the home folder."""
    images = tiny.photos(tmp_path / 'photos, 2023 (2)', 16)
    config = tiny.write_config(tmp_path / 'tiny.py', tmp_path / 'elsewhere', epochs=1)
    steps = [('train.py', '~/run', []), ('search.py', '~/found', [tmp_path / 'run' / 'epoch_1.pth'])]
    for tool, folder, checkpoint in steps:
        result = tiny.run_tool(tool, config, *checkpoint, '--data', images, '--work-dir', folder, HOME=str(tmp_path))
        assert result.returncode == 0, result.stderr
    assert (tmp_path / 'found' / 'ranking.csv').is_file()
