import pathlib

import pytest

from gaia_ssl.errors import UserError
from gaia_ssl.export import toolbox


@pytest.mark.parametrize('name', ['mmdet', 'mmseg', 'mmpretrain'])
def test_the_toolboxes_own_tools(name):
    folder = pathlib.Path(pytest.importorskip(name).__file__).parent
    assert toolbox.tool(name, 'train.py') == folder / '.mim' / 'tools' / 'train.py'
    assert toolbox.tool(name, 'test.py').is_file()


def test_one_that_is_not_installed(monkeypatch):
    def missing(package):
        raise toolbox.PackageNotFoundError(package)

    monkeypatch.setattr(toolbox, 'get_installed_path', missing)
    with pytest.raises(UserError, match='^mmseg is not installed; run: python -m pip install onedl-mmsegmentation$'):
        toolbox.tool('mmseg', 'train.py')
