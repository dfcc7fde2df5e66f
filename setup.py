"""What pyproject.toml cannot say: ``.mim`` inside the package, and a file for Python's start beside the packages."""

import pathlib
import shutil

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = pathlib.Path(__file__).parent
OPERATORS = 'mmcv_torchvision_ops.pth'


class BuildWithMim(build_py):
    """Put configs and tools, with the requirements for the doctor, into ``gaia_ssl/.mim`` (links to them in a checkout).

    So ``gaia_ssl::data/...`` resolves, and ``gaia-ssl`` finds the tools. :data:`OPERATORS` goes to where Python looks for
    ``.pth`` files when it starts.
    """

    def run(self) -> None:
        super().run()
        site = self.get_finalized_command('install').install_purelib if self.editable_mode else self.build_lib
        shutil.copy2(ROOT / OPERATORS, site)
        mim = (ROOT if self.editable_mode else pathlib.Path(self.build_lib)) / 'gaia_ssl' / '.mim'
        if not self.editable_mode:
            shutil.rmtree(mim, ignore_errors=True)  # what an earlier build left there
        mim.mkdir(parents=True, exist_ok=True)
        for name in ('configs', 'tools', 'requirements', 'model-index.yml'):
            if self.editable_mode:
                if not (mim / name).exists():
                    (mim / name).symlink_to(pathlib.Path('..', '..', name))
            elif (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, mim / name, ignore=shutil.ignore_patterns('__pycache__'))
            else:
                shutil.copy2(ROOT / name, mim / name)


setup(cmdclass={'build_py': BuildWithMim})
