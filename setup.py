"""Package gaia_ssl; ``.mim`` inside it holds configs and tools, as OpenMMLab packages have them."""

import pathlib
import re
import shutil

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

ROOT = pathlib.Path(__file__).parent
OPERATORS = 'mmcv_torchvision_ops.pth'


class BuildWithMim(build_py):
    """Put configs and tools, with the requirements for the doctor, into ``gaia_ssl/.mim`` (links to them in a checkout).

    So ``gaia_ssl::data/...`` resolves.
    """

    def run(self) -> None:
        super().run()
        # Beside the packages, where Python looks for .pth files when it starts.
        site = self.get_finalized_command('install').install_purelib if self.editable_mode else self.build_lib
        shutil.copy2(ROOT / OPERATORS, site)
        mim = (ROOT if self.editable_mode else pathlib.Path(self.build_lib)) / 'gaia_ssl' / '.mim'
        mim.mkdir(parents=True, exist_ok=True)
        for name in ('configs', 'tools', 'requirements', 'model-index.yml'):
            if self.editable_mode:
                if not (mim / name).exists():
                    (mim / name).symlink_to(pathlib.Path('..', '..', name))
            elif (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, mim / name, dirs_exist_ok=True, ignore=shutil.ignore_patterns('__pycache__'))
            else:
                shutil.copy2(ROOT / name, mim / name)


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
    packages=find_packages(include=['gaia_ssl', 'gaia_ssl.*', 'mmcv_torchvision_ops']),
    package_data={'gaia_ssl.search': ['report_page/*']},
    include_package_data=True,
    install_requires=requirements('torch') + requirements('openmmlab') + requirements('runtime'),
    extras_require={
        'onnx': requirements('onnx'),
        'tests': requirements('tests') + requirements('onnx'),
    },
    cmdclass={'build_py': BuildWithMim},
)
