import shutil
import sys

import pytest

from gaia_ssl.errors import UserError
from gaia_ssl.export import downstream_config_path
from tests import tiny

TASKS = ('imagenet-linear', 'imagenet-semi-1p', 'imagenet-semi-10p', 'classification')


@pytest.mark.parametrize('task', TASKS)
def test_each_task_has_two_sizes(task):
    assert downstream_config_path(task) != downstream_config_path(task, small=True)
    assert downstream_config_path(task).samefile(tiny.ROOT / 'configs' / 'downstream' / f'{task}.py')


@pytest.mark.parametrize('task', ['imagenet', '', '../data/mocov2_r_supernet', 'classification_small'])
def test_an_unknown_task(task):
    with pytest.raises(UserError, match='is not a downstream task; choose from .*classification, .*imagenet-linear'):
        downstream_config_path(task)


def test_in_an_installed_package(tmp_path):
    """As setup.py lays it out: the configs inside the package, nothing beside it."""
    site = tmp_path / 'site'
    shutil.copytree(tiny.ROOT / 'gaia_ssl', site / 'gaia_ssl', ignore=shutil.ignore_patterns('.mim', '__pycache__'))
    shutil.copytree(tiny.ROOT / 'configs', site / 'gaia_ssl' / '.mim' / 'configs')
    code = "from gaia_ssl.export import downstream_config_path; print(downstream_config_path('classification'))"
    result = tiny.run(sys.executable, '-c', code, PYTHONPATH=str(site), PYTHONSAFEPATH='1')
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[-1] == str(site / 'gaia_ssl/.mim/configs/downstream/classification.py')
