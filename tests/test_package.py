"""What is built and installed, and that it works away from the checkout."""

import os
import pathlib
import shutil
import subprocess
import sys
import zipfile

import pytest

from gaia_ssl import __version__, console
from tests import tiny

LEFT_OUT = ('.*', 'build', 'dist', 'work_dirs', 'data', '*.egg-info')
BUILD = 'import sys; from setuptools import build_meta; print(getattr(build_meta, sys.argv[1])(sys.argv[2]))'


def build(source: pathlib.Path, kind: str, out: pathlib.Path) -> pathlib.Path:
    """Build ``source`` with the setuptools that is installed."""
    out.mkdir(exist_ok=True)
    words = [sys.executable, '-c', BUILD, f'build_{kind}', str(out)]
    result = subprocess.run(words, cwd=source, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return out / result.stdout.splitlines()[-1]


def not_of_a_clean_checkout(folder: str, names: list[str]) -> set[str]:
    at_the_top = shutil.ignore_patterns(*LEFT_OUT)(folder, names) if pathlib.Path(folder) == tiny.ROOT else set()
    return at_the_top | {'__pycache__', '.mim'}


@pytest.fixture(scope='module')
def wheel(tmp_path_factory):
    """Built from the source distribution, so that nothing may lack there either."""
    root = tmp_path_factory.mktemp('package')
    source = root / 'source'
    shutil.copytree(tiny.ROOT, source, ignore=not_of_a_clean_checkout)
    (source / 'build' / 'lib' / 'gaia_ssl' / '.mim' / 'configs').mkdir(parents=True)
    (source / 'build' / 'lib' / 'gaia_ssl' / '.mim' / 'configs' / 'removed.py').touch()  # an earlier build's
    sdist = build(source, 'sdist', root / 'dist')
    shutil.unpack_archive(sdist, root, filter='data')
    (unpacked, ) = root.glob(f'gaia_ssl-{__version__}')
    shutil.copytree(source / 'build', unpacked / 'build')
    return build(unpacked, 'wheel', root / 'dist')


@pytest.fixture(scope='module')
def site(wheel):
    """The wheel unpacked, as ``pip install --target`` does."""
    folder = wheel.parent.parent / 'site'
    flags = ('--quiet', '--no-deps', '--no-index', '--no-compile')
    subprocess.run([sys.executable, '-m', 'pip', 'install', *flags, '--target', str(folder), str(wheel)], check=True)
    return folder


def files_of(folder: pathlib.Path, pattern: str = '**/*') -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.glob(pattern)
            if path.is_file() and '__pycache__' not in path.parts}


@pytest.mark.slow
def test_the_wheel_holds_everything(wheel):
    assert wheel.name == f'gaia_ssl-{__version__}-py3-none-any.whl'
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        (info, ) = {name.partition('/')[0] for name in names if '.dist-info/' in name}
        metadata = archive.read(f'{info}/METADATA').decode()
        entry_points = archive.read(f'{info}/entry_points.txt').decode()
    for folder in ('configs', 'tools', 'requirements'):
        prefix = f'gaia_ssl/.mim/{folder}/'
        assert {name.removeprefix(prefix) for name in names if name.startswith(prefix)} == files_of(tiny.ROOT / folder)
    package = {f'gaia_ssl/{name}' for name in files_of(tiny.ROOT / 'gaia_ssl') if not name.startswith('.mim/')}
    assert {name for name in names if name.startswith('gaia_ssl/') and '.mim/' not in name} == package
    assert 'gaia_ssl/search/report_page/page.html' in package and 'gaia_ssl/.mim/model-index.yml' in names
    assert entry_points.split() == ['[console_scripts]', 'gaia-ssl', '=', 'gaia_ssl.console:main']
    assert 'Requires-Dist: torch>=2.6\n' in metadata and 'License-Expression: Apache-2.0\n' in metadata
    needed = [line for line in metadata.splitlines() if line.startswith('Requires-Dist: ')]
    assert not [line for line in needed if '==' in line.replace('extra ==', '')]  # pins are for requirements/


@pytest.mark.slow
def test_it_works_away_from_the_checkout(site, tmp_path):
    """A user's own config, on top of one that comes with the package, trains by the console command."""
    tiny.photos(tmp_path / 'images', 4)
    (tmp_path / 'own.py').write_text("""
_base_ = 'gaia_ssl::quickstart/train.py'
iterations = 1
model = dict(
    queue_len=4, neck=dict(hid_channels=8),
    backbone=dict(
        stem_kernel=3, space=dict(_delete_=True, stem=[4], widths=[[4], [4], [4], [4]], depths=[[1], [1], [1], [1, 2]])))
train_dataloader = dict(
    batch_size=4, num_workers=0, persistent_workers=False, dataset=dict(data_root='images'))
param_scheduler = []
train_cfg = dict(max_iters=1)
""")
    environment = tiny.environment(PYTHONPATH=str(site))
    result = subprocess.run([sys.executable, site / 'bin' / 'gaia-ssl', 'train', 'own.py'], cwd=tmp_path, env=environment,
                            capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr
    assert (tmp_path / 'work_dirs' / 'own' / 'iter_1.pth').is_file()
    code = ('import gaia_ssl; from gaia_ssl import console; print(gaia_ssl.__file__)\n'
            'print(*map(console.tool_path, console.COMMANDS), sep="\\n")')
    result = subprocess.run([sys.executable, '-c', code], cwd=tmp_path, env=environment, capture_output=True, text=True)
    paths = result.stdout.split()
    assert len(paths) == 1 + len(console.COMMANDS)
    assert all(os.path.isfile(path) and path.startswith(f'{site}/gaia_ssl/') for path in paths)


def test_the_citation_names_this_version():
    assert f'\nversion: {__version__}\n' in (tiny.ROOT / 'CITATION.cff').read_text(encoding='utf-8')
