"""Each trap, in a folder of packages with real metadata: the finding and the command that mends it."""

import base64
import hashlib
import os
import pathlib
import sys

import pytest

from gaia_ssl.doctor import Environment, Finding, examine
from tests import tiny

PINS = {'torch': '2.11.0', 'torchvision': '0.26.0', 'onedl-mmcv': '2.3.6', 'onedl-mmengine': '0.10.12',
        'onedl-mmpretrain': '1.3.6', 'onedl-mmdetection': '3.5.1', 'onedl-mmsegmentation': '1.4.2'}
REQUIREMENTS = {
    'build': 'setuptools>=80,<82\n', 'torch': 'torch==2.11.0\ntorchvision==0.26.0\n',
    'openmmlab': ''.join(f'{name}=={PINS[name]}  # pinned\n' for name in list(PINS)[2:]), 'runtime': 'numpy  # costs\n',
    'onnx': 'onnx==1.2.3\n',
}
MODULES = {
    'numpy/__init__.py': '', 'cv2.py': '',
    'torch/__init__.py': 'from types import SimpleNamespace as N\nversion = N(cuda=None, hip=None)\n'
                         'cuda = N(is_available=lambda: False)\ndef zeros(*shape): ...\n',
    'torchvision/__init__.py': '', 'torchvision/ops.py': 'def nms(*boxes): ...\n',
    'mmengine/__init__.py': '', 'mmengine/runner.py': '',
    'mmcv/__init__.py': '', 'mmcv/_ext.py': '',
    'mmcv/ops.py': 'def get_compiling_cuda_version(): return "not available"\ndef get_compiler_version(): return "GCC 12"\n',
    'mmpretrain/__init__.py': '', 'mmpretrain/models.py': '', 'mmdet/__init__.py': '', 'mmdet/models.py': '',
    'mmseg/__init__.py': '', 'mmseg/models.py': 'import mmcv\n', 'mmseg/version.py': "__version__ = '1.4.2'\n",
    'gaia_ssl/__init__.py': '', 'gaia_ssl/engine.py': '', 'gaia_ssl/.mim/configs/a.py': '',
}
GPU_TORCH = MODULES['torch/__init__.py'].replace('cuda=None', "cuda='13.0'")
PIP = f'{sys.executable} -m pip'


class Packages:
    """A folder of packages, at first a healthy one."""

    def __init__(self, root: pathlib.Path) -> None:
        self.root, self.folder, self.requirements = root, root / 'site-packages', root / 'checkout' / 'requirements'
        self.requirements.mkdir(parents=True)
        (self.requirements.parent / 'setup.py').touch()
        for group, text in REQUIREMENTS.items():
            (self.requirements / f'{group}.txt').write_text(text)
        for path, text in MODULES.items():
            self.write(path, text)
        for name, version in PINS.items():
            self.install(name, version)
        self.install('numpy', '2.2.6')
        self.install('setuptools', '81.0.0')
        self.install('torchvision', '0.26.0', requires=['numpy', 'torch (==2.11.0)'])
        self.install('onedl-mmsegmentation', '1.4.2', files=['mmseg/__init__.py', 'mmseg/models.py', 'mmseg/version.py'])

    def write(self, path: str, text: str) -> None:
        (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / path).write_text(text)

    def remove(self, name: str) -> None:
        for info in self.folder.glob(f'{name.replace("-", "_")}-*.dist-info'):
            for file in info.iterdir():
                file.unlink()
            info.rmdir()

    def install(self, name: str, version: str, requires: list[str] = (), files: list[str] = ()) -> None:
        """Metadata as pip leaves it, in place of another version's."""
        self.remove(name)
        info = f'{name.replace("-", "_")}-{version}.dist-info'
        self.write(f'{info}/METADATA', f'Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n'
                                       + ''.join(f'Requires-Dist: {line}\n' for line in requires))
        record = ''
        for file in files:
            digest = hashlib.sha256((self.folder / file).read_bytes()).digest()
            record += f'{file},sha256={base64.urlsafe_b64encode(digest).rstrip(b"=").decode()},1\n'
        self.write(f'{info}/RECORD', record)

    def examine(self, **kwargs) -> list[Finding]:
        environment = dict(path=[str(self.folder)], version=(3, 11), shm=str(self.root), room=str(self.root))
        return list(examine(Environment(self.requirements, **{**environment, **kwargs})))

    def trouble(self, **kwargs) -> dict[str, Finding]:
        """What is not in order, by the check's name."""
        return {finding.check: finding for finding in self.examine(**kwargs) if finding.status != 'ok'}


@pytest.fixture
def packages(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('PATH', str(tmp_path / 'bin'))  # no nvidia-smi
    return Packages(tmp_path)


def test_a_healthy_environment(packages):
    findings = packages.examine()
    assert {finding.status for finding in findings} == {'ok'} and not any(finding.mend for finding in findings)
    assert Finding('files of onedl-mmsegmentation', '3, as installed') in findings
    assert Finding('requirements/onnx.txt', 'not installed; it is optional') in findings
    assert len([finding for finding in findings if finding.found == 'works']) == 10


@pytest.mark.parametrize('fork, original, version', [
    ('onedl-mmengine', 'mmengine', '0.10.7'), ('onedl-mmcv', 'mmcv', '2.1.0'), ('onedl-mmcv', 'mmcv-full', '1.7.2'),
    ('onedl-mmdetection', 'mmdet', '3.3.0'), ('onedl-mmpretrain', 'mmpretrain', '1.2.0'),
    ('onedl-mmsegmentation', 'mmsegmentation', '1.2.2'),
])
def test_an_original_beside_its_continuation(packages, fork, original, version):
    packages.install(original, version)
    trouble = packages.trouble()
    assert set(trouble) == {fork}
    assert trouble[fork].status == 'fail' and trouble[fork].found == f'{original} {version} is installed over it'
    removal, installation = trouble[fork].mend.split(' && ', 1)
    assert removal == f'{PIP} uninstall -y {original} {fork}'
    cache = '--no-cache-dir ' if fork == 'onedl-mmcv' else ''  # it may hold one that was compiled for another torch
    assert installation == f'{PIP} install {cache}--no-deps --force-reinstall {fork}=={PINS[fork]}'


def test_an_original_in_place_of_its_continuation(packages):
    packages.remove('onedl-mmdetection')
    packages.install('mmdet', '3.3.0')
    trouble = packages.trouble()
    assert set(trouble) == {'onedl-mmdetection', 'requirements/openmmlab.txt'}
    assert trouble['onedl-mmdetection'].mend.startswith(f'{PIP} uninstall -y mmdet && {PIP} install')


@pytest.mark.parametrize('overwrite', [
    lambda packages: packages.write('mmseg/version.py', "__version__ = '1.2.2'\n"),
    lambda packages: (packages.folder / 'mmseg' / 'version.py').unlink(),
])
def test_mmsegmentation_overwritten(packages, overwrite):
    """Without a trace in the metadata: the original was removed again."""
    overwrite(packages)
    trouble = packages.trouble()
    finding = trouble['files of onedl-mmsegmentation']
    assert set(trouble) == {finding.check} and finding.status == 'fail'
    assert finding.found.startswith('1 of 3 are missing or overwritten, first mmseg/version.py')
    assert finding.mend == f'{PIP} install --no-deps --force-reinstall onedl-mmsegmentation==1.4.2'


def test_whose_operators(packages):
    assert Finding("mmcv's operators", 'all: compiled with GCC 12, CUDA not available') in packages.examine()
    packages.write('mmcv/_ext.py', "__all__ = ['get_compiler_version', 'nms', 'roi_align_forward', 'roi_align_backward']\n")
    packages.write('mmcv/ops.py', MODULES['mmcv/ops.py'].replace('GCC 12', 'none, operators of torchvision 0.26.0'))
    found, = [finding.found for finding in packages.examine() if finding.check == "mmcv's operators"]
    assert found.startswith('nms, roi_align: by torchvision and torch, on CPU and GPU') and '--compile-mmcv' in found


def test_mmcv_without_operators(packages):
    (packages.folder / 'mmcv' / '_ext.py').unlink()
    packages.write('mmdet/models.py', 'import mmcv._ext\n')
    trouble = packages.trouble()
    assert set(trouble) == {'import mmcv._ext', 'import mmdet.models'}
    finding = trouble['import mmcv._ext']
    assert finding.status == 'fail' and "No module named 'mmcv._ext'" in finding.found
    assert finding.mend == f'{PIP} install --no-build-isolation --no-deps --editable checkout'
    assert trouble['import mmdet.models'].mend.startswith('# after "import mmcv._ext" is mended')


def test_operators_compiled_for_another_torch(packages):
    packages.write('mmcv/_ext.py', "raise ImportError('undefined symbol: _ZN3c106')\n")
    assert packages.trouble()['import mmcv._ext'].mend == (
        f'{PIP} install --no-cache-dir --no-deps --force-reinstall onedl-mmcv==2.3.6')


def test_torch_and_torchvision_that_do_not_match(packages):
    packages.install('torch', '2.13.0+cpu')
    packages.write('torchvision/ops.py', "raise RuntimeError('operator torchvision::nms does not exist')\n")
    trouble = packages.trouble()
    assert set(trouble) == {'torch and torchvision', 'requirements/torch.txt', 'import torchvision.ops'}
    pair = trouble['torch and torchvision']
    assert pair.status == 'fail' and pair.found.endswith('this torchvision is built for torch 2.11.0')
    assert pair.mend == f'{PIP} install --force-reinstall -r checkout/requirements/torch.txt'
    assert trouble['import torchvision.ops'].found == 'RuntimeError: operator torchvision::nms does not exist'
    assert trouble['requirements/torch.txt'].status == 'warn'
    assert trouble['requirements/torch.txt'].found == 'torch 2.13.0+cpu, tested is 2.11.0'


def test_a_local_version_is_the_pinned_one(packages):
    packages.install('torch', '2.11.0+cu126')
    assert packages.trouble() == {}


@pytest.mark.parametrize('version, taken, good', [
    ('2.13.0', '>=2.6', True), ('2.6.0+cpu', '>=2.6,<3', True), ('2.5.1', '>=2.6', False), ('3.0', '<3,>=2.6', False),
    ('2.10.0', '!=2.10,>=2.6', False)])
def test_a_version_within_the_range_that_gaia_ssl_takes(packages, version, taken, good):
    packages.install('torch', version)
    packages.install('torchvision', '0.26.0')
    packages.install('gaia_ssl', '1.0', requires=[f'torch{taken}', 'torchvision', 'onnx>=1; extra == "onnx"'])
    trouble = packages.trouble()
    assert set(trouble) == (set() if good else {'requirements/torch.txt'})
    if not good:
        finding = trouble['requirements/torch.txt']
        assert finding.status == 'fail' and finding.found == f'torch {version}, needed is {taken}'


def test_a_toolbox_that_gaia_ssl_can_do_without(packages):
    requires = ['torch>=2', 'onedl-mmdetection', 'onedl-mmsegmentation; extra == "segmentation"']
    packages.install('gaia_ssl', '1.0', requires=requires)
    packages.remove('onedl-mmsegmentation')
    packages.write('mmseg/models.py', "raise ImportError('gone')\n")
    assert packages.trouble() == {}
    found, = [finding.found for finding in packages.examine() if finding.check == 'requirements/openmmlab.txt']
    assert 'onedl-mmsegmentation not installed, which is optional' in found
    packages.remove('onedl-mmdetection')
    assert packages.trouble()['requirements/openmmlab.txt'].found == 'missing: onedl-mmdetection'


@pytest.mark.parametrize('version, good', [('4.57.1', True), ('5.0.0', False), ('5.1.0rc1', False)])
def test_transformers(packages, version, good):
    packages.install('transformers', version)
    trouble = packages.trouble()
    assert set(trouble) == (set() if good else {'transformers'})
    if not good:
        assert trouble['transformers'].status == 'fail' and trouble['transformers'].mend == f"{PIP} install 'transformers<5'"


@pytest.mark.parametrize('version', ['79.0.1', '82.0.0', None])
def test_setuptools(packages, version):
    packages.remove('setuptools')
    if version:
        packages.install('setuptools', version)
    trouble = packages.trouble()
    assert set(trouble) == {'setuptools'} and trouble['setuptools'].status == 'warn'
    assert trouble['setuptools'].mend == f"{PIP} install 'setuptools>=80,<82'"


@pytest.mark.parametrize('version, good', [((3, 9), False), ((3, 10), True), ((3, 12), True), ((3, 13), False)])
def test_python(packages, version, good):
    trouble = packages.trouble(version=version)
    assert set(trouble) == (set() if good else {'Python'})
    if not good:
        assert trouble['Python'].status == 'fail' and trouble['Python'].mend.endswith('bash tools/setup_env.sh')


def test_missing_packages_and_other_versions(packages):
    packages.remove('onedl-mmpretrain')
    packages.install('onedl-mmengine', '0.11.0')
    packages.install('onnx', '1.0')
    trouble = packages.trouble()
    assert set(trouble) == {'requirements/openmmlab.txt', 'requirements/onnx.txt'}
    by_status = {finding.status: finding for finding in packages.examine() if finding.check == 'requirements/openmmlab.txt'}
    assert by_status['fail'].found == 'missing: onedl-mmpretrain'
    assert by_status['warn'].found == 'onedl-mmengine 0.11.0, tested is 0.10.12'
    assert by_status['fail'].mend == (f'{PIP} install -r checkout/requirements/openmmlab.txt '
                                      '-c checkout/requirements/torch.txt')
    assert trouble['requirements/onnx.txt'].status == 'warn'


def test_an_import_that_kills_the_process(packages):
    """Those after it are examined all the same."""
    packages.write('mmpretrain/models.py', 'import os\nos.abort()\n')
    packages.write('mmdet/models.py', "raise SystemExit('gone')\n")
    trouble = packages.trouble()
    assert set(trouble) == {'import mmpretrain.models', 'import mmdet.models'}
    assert trouble['import mmpretrain.models'].found.startswith('the process died with status -6')
    assert trouble['import mmdet.models'].found == 'SystemExit: gone'


@pytest.mark.parametrize('name, file, group', [
    ('mmpretrain.models', 'mmpretrain/models.py', 'openmmlab'), ('cv2', 'cv2.py', 'openmmlab'),
    ('gaia_ssl', 'gaia_ssl/__init__.py', 'runtime')])
def test_a_package_that_a_package_needs(packages, name, file, group):
    packages.write(file, 'import modelindex\n')
    assert packages.trouble()[f'import {name}'].mend == (
        f'{PIP} install -r checkout/requirements/{group}.txt -c checkout/requirements/torch.txt')


def test_no_opencv(packages):
    (packages.folder / 'cv2.py').unlink()
    assert packages.trouble()['import cv2'].mend == (
        f'{PIP} install -r checkout/requirements/openmmlab.txt -c checkout/requirements/torch.txt')


def test_libraries_of_opencv(packages):
    packages.write('cv2.py', "raise ImportError('libGL.so.1: cannot open shared object file')\n")
    assert packages.trouble()['import cv2'].mend == 'apt-get install -y libgl1 libglib2.0-0'


def test_gaia_ssl_not_installed_or_without_its_configs(packages):
    command = f'{PIP} install --no-build-isolation --no-deps --editable checkout'
    (packages.folder / 'gaia_ssl' / '.mim' / 'configs' / 'a.py').unlink()
    (packages.folder / 'gaia_ssl' / '.mim' / 'configs').rmdir()
    trouble = packages.trouble()
    assert set(trouble) == {'configs of gaia_ssl'} and trouble['configs of gaia_ssl'].status == 'warn'
    assert trouble['configs of gaia_ssl'].mend == command
    packages.write('gaia_ssl/__init__.py', "raise ImportError('no')\n")
    trouble = packages.trouble()
    assert set(trouble) == {'import gaia_ssl'} and trouble['import gaia_ssl'].status == 'fail'
    assert trouble['import gaia_ssl'].mend == command
    (packages.requirements.parent / 'setup.py').unlink()  # as in an installed package
    assert packages.trouble()['import gaia_ssl'].mend == (
        f'# in a checkout of gaia_ssl:\n  {PIP} install --no-build-isolation --no-deps --force-reinstall .')


def nvidia_smi(root: pathlib.Path, cuda: str) -> None:
    path = root / 'bin' / 'nvidia-smi'
    path.parent.mkdir()
    path.write_text(f'''#!/bin/sh
if [ "$1" = -L ]; then echo "GPU 0: NVIDIA H100 80GB HBM3 (UUID: GPU-1)"; else
echo "| NVIDIA-SMI 560.35.03    Driver Version: 560.35.03    CUDA Version: {cuda}  |"; fi
''')
    path.chmod(0o755)


def test_a_cuda_build_without_a_gpu(packages):
    packages.write('torch/__init__.py', GPU_TORCH)
    trouble = packages.trouble()
    assert set(trouble) == {'GPU'} and trouble['GPU'].status == 'warn' and trouble['GPU'].found.startswith('none')
    assert trouble['GPU'].mend == (f'{PIP} install --force-reinstall torch==2.11.0 torchvision==0.26.0 '
                                   '--index-url https://download.pytorch.org/whl/cpu')


def test_a_gpu_without_a_cuda_build(packages, tmp_path):
    nvidia_smi(tmp_path, '13.0')
    trouble = packages.trouble()
    assert set(trouble) == {'GPU'} and trouble['GPU'].status == 'fail'
    assert trouble['GPU'].found == 'NVIDIA H100 80GB HBM3, but torch for the CPU'
    assert trouble['GPU'].mend == f'{PIP} install --force-reinstall torch==2.11.0 torchvision==0.26.0'


@pytest.mark.parametrize('cuda, other', [('12.6', '/cu126'), ('11.4', None)])
def test_a_driver_that_is_too_old(packages, tmp_path, cuda, other):
    nvidia_smi(tmp_path, cuda)
    packages.write('torch/__init__.py', GPU_TORCH)
    trouble = packages.trouble()
    assert set(trouble) == {'GPU'} and trouble['GPU'].status == 'fail'
    assert f'driver is too old: made for CUDA {cuda}' in trouble['GPU'].found
    assert trouble['GPU'].mend.endswith(other or 'https://www.nvidia.com/drivers')


def test_a_gpu_that_torch_does_not_see(packages, tmp_path):
    nvidia_smi(tmp_path, '13.0')
    packages.write('torch/__init__.py', GPU_TORCH)
    assert 'torch.cuda.is_available() is false' in packages.trouble()['GPU'].found


def test_operators_of_mmcv_without_cuda(packages, tmp_path):
    nvidia_smi(tmp_path, '13.0')
    packages.write('torch/__init__.py', GPU_TORCH.replace('lambda: False', 'lambda: True') + '''
class ones:
    def __init__(self, *shape, device): ...
    def add(self, x): return self
    def item(self): ...
''')
    trouble = packages.trouble()
    assert set(trouble) == {'mmcv on the GPU'} and 'torchvision' in trouble['mmcv on the GPU'].found
    packages.write('mmcv/ops.py', MODULES['mmcv/ops.py'].replace('not available', '13.0'))
    assert packages.trouble() == {}


def test_little_room(packages, monkeypatch):
    usage = type('Usage', (), dict(free=2**30, total=64 * 2**20))
    monkeypatch.setattr('shutil.disk_usage', lambda path: usage)
    trouble = packages.trouble()
    assert set(trouble) == {'disk', 'shared memory'} and {finding.status for finding in trouble.values()} == {'warn'}
    assert trouble['disk'].found.startswith('1 GB free in ') and trouble['shared memory'].found.startswith('0.1 GB')
    assert 'remount,size=8G' in trouble['shared memory'].mend and 'du -sh' in trouble['disk'].mend


def test_a_check_that_fails_does_not_end_the_others(packages):
    packages.install('transformers', 'unknown')
    trouble = packages.trouble()
    assert set(trouble) == {'transformers'} and trouble['transformers'].status == 'warn'
    assert trouble['transformers'].found.startswith('could not be checked (ValueError')


@pytest.mark.slow
def test_the_tool_on_this_environment():
    result = tiny.run_tool('doctor.py')
    assert result.returncode == 0 and '\n0 failed, ' in result.stdout, result.stdout
    assert 'import mmcv._ext' in result.stdout and 'torch 2.11.0' in result.stdout


@pytest.mark.slow
def test_the_tool_where_nothing_is_installed():
    """``-S`` hides all packages, rich included."""
    result = tiny.run(sys.executable, '-S', tiny.ROOT / 'tools' / 'doctor.py')
    assert result.returncode == 1 and 'Traceback' not in result.stderr
    assert 'missing: torch, torchvision' in result.stdout
    assert f'fail: requirements/torch.txt\n  {sys.executable} -m pip install -r requirements/torch.txt' in result.stdout


GUARDED = sorted(path.name for path in (tiny.ROOT / 'tools').glob('*.py')
                 if path.name not in ('doctor.py', 'import_guard.py'))


@pytest.mark.parametrize('name', GUARDED)
def test_every_tool_points_to_the_doctor(name):
    result = tiny.run(sys.executable, '-S', tiny.ROOT / 'tools' / name, PYTHONPATH='')
    assert result.returncode == 1 and result.stderr.startswith('error: ') and result.stderr.count('\n') == 1, result.stderr
    assert 'cannot be imported (ModuleNotFoundError: No module named ' in result.stderr
    assert result.stderr.endswith('; run python tools/doctor.py\n')


@pytest.mark.parametrize('name', ['dist_train.sh', 'dist_search.sh'])
def test_shell_tools_point_to_the_doctor(tmp_path, name):
    python = tmp_path / 'python'
    python.write_text(f'#!/bin/sh\nexec {sys.executable} -S "$@"\n')
    python.chmod(0o755)
    result = tiny.run('bash', tiny.ROOT / 'tools' / name, 'config.py', '1', '1', PYTHONPATH='',
                      PATH=os.pathsep.join([str(tmp_path), os.environ['PATH']]))
    assert result.returncode == 1
    assert result.stderr == "error: torch cannot be imported (ModuleNotFoundError: No module named 'torch'); " \
                            'run python tools/doctor.py\n'


@pytest.mark.parametrize('error', ["OSError('libcudart.so.13: cannot open')", "RuntimeError('no operator\\nsecond line')"])
def test_a_package_that_breaks_while_it_is_imported(tmp_path, error):
    (tmp_path / 'torch').mkdir()
    (tmp_path / 'torch' / '__init__.py').write_text(f'raise {error}\n')
    result = tiny.run(sys.executable, tiny.ROOT / 'tools' / 'launch.py', PYTHONPATH=str(tmp_path))
    assert result.returncode == 1 and result.stderr.count('\n') == 1
    assert result.stderr.startswith('error: a package cannot be imported (') and 'doctor.py' in result.stderr


def test_other_errors_of_a_tool_keep_their_traceback(tmp_path):
    script = tmp_path / 'tool.py'
    script.write_text('import import_guard\ndef main():\n    raise ValueError("a bug")\nmain()\n')
    result = tiny.run(sys.executable, script, PYTHONPATH=str(tiny.ROOT / 'tools'))
    assert result.returncode == 1 and 'Traceback' in result.stderr and 'ValueError: a bug' in result.stderr
