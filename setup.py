"""Package gaia_ssl; ``.mim`` inside it holds configs and tools, as OpenMMLab packages have them."""

import pathlib
import re
import shutil

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

ROOT = pathlib.Path(__file__).parent


class BuildWithMim(build_py):
    """Copy configs and tools into ``gaia_ssl/.mim`` of what is built, so that ``gaia_ssl::data/...`` resolves."""

    def run(self) -> None:
        super().run()
        if self.editable_mode:  # configs and tools of a checkout are used where they are
            return
        mim = pathlib.Path(self.build_lib) / 'gaia_ssl' / '.mim'
        for folder in ('configs', 'tools'):
            shutil.copytree(ROOT / folder, mim / folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns('__pycache__'))


def requirements(name: str) -> list[str]:
    lines = (ROOT / 'requirements' / f'{name}.txt').read_text(encoding='utf-8').splitlines()
    return [line for line in (re.sub(r'\s*#.*', '', line).strip() for line in lines) if line]


setup(
    name='gaia_ssl',
    version=re.search(r"__version__ = '(.+)'", (ROOT / 'gaia_ssl' / '__init__.py').read_text(encoding='utf-8')).group(1),
    description='Domain-aware and task-aware self-supervised learning (DATA, CVPR 2022) as an OpenMMLab plugin',
    long_description=(ROOT / 'README.md').read_text(encoding='utf-8'),
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    python_requires='>=3.10,<3.13',
    packages=find_packages(include=['gaia_ssl', 'gaia_ssl.*']),
    include_package_data=True,
    install_requires=requirements('torch') + requirements('openmmlab') + requirements('runtime'),
    extras_require={'mmcv': requirements('mmcv'), 'tests': requirements('tests')},
    cmdclass={'build_py': BuildWithMim},
)
