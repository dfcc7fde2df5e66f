"""CONFIG arguments: a file, or the name of one that comes with a package."""

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
        raise cli.PackageNotFoundError(package)

    monkeypatch.setattr(cli, 'get_installed_path', missing)
    with pytest.raises(UserError, match='^mmdet::a/b.py: mmdet is not installed$'):
        cli.read_config('mmdet::a/b.py')
