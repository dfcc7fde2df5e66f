"""One check after the other, each with the command that mends what it finds."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import importlib.metadata
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator

from .environment import Environment, normalised, within

OK, WARN, FAIL = 'ok', 'warn', 'fail'
GIGABYTE = 2**30
FORKS = {
    'onedl-mmengine': ('mmengine', 'mmengine-lite'),
    'onedl-mmcv': ('mmcv', 'mmcv-full', 'mmcv-lite'),
    'onedl-mmpretrain': ('mmpretrain', ),
    'onedl-mmdetection': ('mmdet', ),
    'onedl-mmsegmentation': ('mmsegmentation', ),
}
"""The maintained continuation of each OpenMMLab package, and the frozen originals that install the same files."""


@dataclasses.dataclass(frozen=True)
class Finding:
    """What one check found.

    Attributes:
        check: What was looked at.
        found: What is there, in a few words.
        status: ``'ok'``, ``'warn'`` or ``'fail'``.
        mend: The command that mends it; empty where nothing is to be done.
    """

    check: str
    found: str
    status: str = OK
    mend: str = ''


def examine(environment: Environment) -> Iterator[Finding]:
    """All findings, one by one; a check that itself fails is a warning and does not end the others."""
    for check in CHECKS:
        try:
            yield from check(environment)
        except Exception as error:  # a broken environment breaks in ways that nobody foresaw
            name = check.__name__.removeprefix('check_').replace('_', ' ')
            yield Finding(name, f'could not be checked ({type(error).__name__}: {error})', WARN)


def check_python(environment: Environment) -> Iterator[Finding]:
    yield _judge('Python', '.'.join(map(str, environment.version)), (3, 10) <= environment.version <= (3, 12),
                 'gaia_ssl is for 3.10 to 3.12', 'PYTHON=/path/to/python3.11 bash tools/setup_env.sh')
    own = environment.requirements.parent / '.venv'
    if environment.path is None and own.is_dir():
        yield _judge('interpreter', sys.prefix, own.samefile(sys.prefix), "not the set-up's own .venv",
                     f'source {shlex.quote(os.path.relpath(own))}/bin/activate', WARN)


def check_originals(environment: Environment) -> Iterator[Finding]:
    """An original and its continuation hold the same files: the one installed last has overwritten the other's."""
    for fork, originals in FORKS.items():
        there = [name for name in originals if name in environment.packages]
        if there:
            named = ' and '.join(f'{name} {environment.packages[name].version}' for name in there)
            both = fork in environment.packages
            removal = ' '.join([*there, *([fork] if both else [])])
            yield Finding(fork, f'{named} is installed{" over it" if both else " in its place, and is too old"}', FAIL,
                          f'{environment.pip} uninstall -y {removal} && {environment.reinstall(fork)}')


def check_overwritten(environment: Environment) -> Iterator[Finding]:
    """Whether each continuation's Python files are those that it installed."""
    for fork in FORKS:
        if fork in environment.packages:
            files = [file for file in environment.packages[fork].files or [] if file.suffix == '.py' and file.hash]
            changed = [file for file in files if not _is_as_installed(file)]
            if changed:
                cause = '; a config with mmseg:: does that, by installing the original' if 'seg' in fork else ''
                yield Finding(f'files of {fork}', f'{len(changed)} of {len(files)} are missing or overwritten, first '
                              f'{changed[0]}{cause}', FAIL, environment.reinstall(fork))
            else:
                yield Finding(f'files of {fork}', f'{len(files)}, as installed')


def check_versions(environment: Environment) -> Iterator[Finding]:
    """Missing packages, versions that gaia_ssl does not take, and, where its ranges are unknown, other than the pinned ones."""
    for group, optional in dict(torch=False, openmmlab=False, runtime=False, onnx=True).items():
        missing: list[str] = []
        absent: list[str] = []
        other, right, status = [], [], WARN
        for name, pin in environment.requirements_of(group).items():
            package, taken = environment.packages.get(normalised(name)), environment.ranges.get(normalised(name))
            if package is None:
                (missing if environment.needs(name) else absent).append(name)
            elif taken is not None and not within(package.version, taken):
                other.append(f'{name} {package.version}, needed is {taken}')
                status = FAIL
            elif taken is None and pin is not None and package.version.split('+')[0] != pin:
                other.append(f'{name} {package.version}, tested is {pin}')
            else:
                right.append(f'{name} {package.version}')
        check = f'requirements/{group}.txt'
        command = f'{environment.pip} install -r {environment.file_of(group)} -c {environment.file_of("torch")}'
        if missing and not optional:
            yield Finding(check, f'missing: {", ".join(missing)}', FAIL, command)
        if other:
            yield Finding(check, '; '.join(other), status, command)
        if not other and (optional or not missing):
            right += [f'{name} not installed, which is optional' for name in absent]
            yield Finding(check, ', '.join(right) or 'not installed; it is optional')


def check_torch_pair(environment: Environment) -> Iterator[Finding]:
    """torchvision is built for one version of torch, which its metadata names."""
    torch, torchvision = (environment.packages.get(name) for name in ('torch', 'torchvision'))
    if torch is not None and torchvision is not None:
        wanted = next((match[1] for line in torchvision.requires or [] if (match := re.match(r'torch\s*\(?==([\d.]+)', line))),
                      None)
        yield _judge('torch and torchvision', f'torch {torch.version}, torchvision {torchvision.version}',
                     wanted in (None, torch.version.split('+')[0]), f'this torchvision is built for torch {wanted}',
                     f'{environment.pip} install --force-reinstall -r {environment.file_of("torch")}')


def check_transformers(environment: Environment) -> Iterator[Finding]:
    package = environment.packages.get('transformers')
    if package is not None:
        yield _judge('transformers', package.version, _major(package) < 5, 'mmpretrain needs an earlier one than 5',
                     f"{environment.pip} install 'transformers<5'")


def check_setuptools(environment: Environment) -> Iterator[Finding]:
    package = environment.packages.get('setuptools')
    yield _judge('setuptools', package.version if package else 'none', package is not None and _major(package) in (80, 81),
                 'mmcv and gaia_ssl build with 80 and 81 only', f"{environment.pip} install 'setuptools>=80,<82'", WARN)


def check_imports(environment: Environment) -> Iterator[Finding]:
    """Imports each package; one that fails after another has failed may do so because of that."""
    pip, failed = environment.pip, None
    libraries = 'apt-get install -y libgl1 libglib2.0-0'
    operators = environment.probes['mmcv._ext'].get('error', '')
    mend = {
        'numpy': f'{pip} install --force-reinstall -r {environment.file_of("runtime")} -c {environment.file_of("torch")}',
        'cv2': libraries,
        'torch': f'{pip} install --force-reinstall -r {environment.file_of("torch")}',
        'torchvision.ops': f'{pip} install --force-reinstall -r {environment.file_of("torch")}',
        'mmengine.runner': environment.reinstall('onedl-mmengine'),
        'mmcv._ext': (environment.install_gaia_ssl() if "No module named 'mmcv._ext'" in operators  # its .pth file is missing
                      else environment.reinstall('onedl-mmcv')),
        'mmpretrain.models': environment.reinstall('onedl-mmpretrain'),
        'mmdet.models': environment.reinstall('onedl-mmdetection'),
        'mmseg.models': environment.reinstall('onedl-mmsegmentation'),
        'gaia_ssl': environment.install_gaia_ssl(),
    }
    for name, answer in environment.probes.items():
        if name == 'mmseg.models' and 'onedl-mmsegmentation' not in environment.packages and not environment.needs(
                'onedl-mmsegmentation'):
            continue
        if 'error' not in answer:
            yield Finding(f'import {name}', 'works')
            continue
        found, command = ' '.join(answer['error'].split())[:200], mend[name]
        if (found.startswith('ModuleNotFoundError') and not re.search("named '(gaia_ssl|mmcv._ext)'", found)
                and name.startswith(('cv2', 'mm', 'gaia_ssl'))):  # pip installs what a package needs, too
            group = 'runtime' if name == 'gaia_ssl' else 'openmmlab'
            command = f'{pip} install -r {environment.file_of(group)} -c {environment.file_of("torch")}'
        first = f'# after "import {failed}" is mended, if this stays\n  ' if failed else ''
        yield Finding(f'import {name}', found, FAIL, first + command)
        failed = failed or name


def check_operators(environment: Environment) -> Iterator[Finding]:
    """Whose kernels compute mmcv's operators."""
    value = environment.probes['mmcv._ext'].get('value')
    if value is not None and value['ours'] is not None:
        yield Finding("mmcv's operators", f'{", ".join(value["ours"])}: by torchvision and torch, on CPU and GPU; any other '
                      'needs mmcv compiled (bash tools/setup_env.sh --compile-mmcv)')
    elif value is not None:
        yield Finding("mmcv's operators", f'all: compiled with {value["compiler"]}, CUDA {value["cuda"]}')


def check_gaia_ssl(environment: Environment) -> Iterator[Finding]:
    """Whether configs and tools lie where mmengine and mim look for them."""
    value = environment.probes['gaia_ssl'].get('value')
    if value is not None:
        yield _judge('configs of gaia_ssl', f'{value["folder"]}/.mim/configs', value['configs'],
                     'missing, so gaia_ssl:: names no config', environment.install_gaia_ssl(), WARN)


def check_gpu(environment: Environment) -> Iterator[Finding]:
    """Whether the build of torch, the GPU and its driver belong together."""
    torch = environment.probes['torch'].get('value')
    gpus, driver_cuda = _gpus()
    if torch is None:
        return
    pins = ' '.join(f'{name}=={pin}' for name, pin in environment.requirements_of('torch').items())
    reinstall = f'{environment.pip} install --force-reinstall {pins}'
    build = f'torch for CUDA {torch["cuda"]}' if torch['cuda'] else 'torch for the CPU'
    cpu_build = f'{reinstall} --index-url https://download.pytorch.org/whl/cpu'
    if not gpus:
        yield Finding('GPU', f'none; {build}' + ('; works, but a build for the CPU is 3 GB smaller' if torch['cuda'] else ''),
                      WARN if torch['cuda'] else OK, cpu_build if torch['cuda'] else '')
    elif not torch['cuda']:
        yield Finding('GPU', f'{gpus}, but {build}', FAIL, reinstall)
    elif not torch['gpu'] and driver_cuda and driver_cuda[0] < int(torch['cuda'].split('.')[0]):
        mend = '# update the driver: https://www.nvidia.com/drivers'
        if driver_cuda[0] == 12:
            mend += f'; or, for CUDA 12:\n  {reinstall} --index-url https://download.pytorch.org/whl/cu126'
        driver = '.'.join(map(str, driver_cuda))
        yield Finding('GPU', f'{gpus}, whose driver is too old: made for CUDA {driver}; {build}', FAIL, mend)
    elif not torch['gpu']:
        yield Finding('GPU', f'{gpus}, but torch.cuda.is_available() is false; {build}', FAIL,
                      'unset CUDA_VISIBLE_DEVICES; nvidia-smi')
    else:
        yield Finding('GPU', f'{gpus}; {build}')
        operators = environment.probes['mmcv._ext'].get('value')
        if operators is not None and operators['ours'] is None and not re.match(r'\d', operators['cuda']):
            yield Finding('mmcv on the GPU', "its operators were compiled for the CPU; without them, torchvision's serve", FAIL,
                          environment.reinstall('onedl-mmcv'))


def check_room(environment: Environment) -> Iterator[Finding]:
    free = shutil.disk_usage(environment.room).free / GIGABYTE
    yield _judge('disk', f'{free:.0f} GB free in {os.path.abspath(environment.room)}', free >= 10,
                 'checkpoints of a supernet take 1 GB each', 'du -sh work_dirs/*  # and remove what is not needed', WARN)
    if os.path.isdir(environment.shm):
        total = shutil.disk_usage(environment.shm).total / GIGABYTE
        yield _judge('shared memory', f'{total:.1f} GB', total >= 1, 'data loaders with workers may die of it',
                     f'mount -o remount,size=8G {environment.shm}  # with Docker: docker run --shm-size=8g', WARN)


CHECKS: list[Callable[[Environment], Iterator[Finding]]] = [
    check_python, check_originals, check_overwritten, check_versions, check_torch_pair, check_transformers, check_setuptools,
    check_imports, check_operators, check_gaia_ssl, check_gpu, check_room,
]


def _judge(check: str, found: str, good: bool, trouble: str, mend: str, status: str = FAIL) -> Finding:
    return Finding(check, found) if good else Finding(check, f'{found}: {trouble}', status, mend)


def _major(package: importlib.metadata.Distribution) -> int:
    return int(package.version.split('.')[0])


def _is_as_installed(file: importlib.metadata.PackagePath) -> bool:
    path = pathlib.Path(file.locate())
    if not path.is_file():
        return False
    digest = hashlib.new(file.hash.mode, path.read_bytes()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b'=').decode() == file.hash.value


def _gpus() -> tuple[str, tuple[int, int] | None]:
    """The GPUs that nvidia-smi sees, in words, and the CUDA version that the driver is made for."""
    if shutil.which('nvidia-smi') is None:
        return '', None
    names = subprocess.run(['nvidia-smi', '-L'], capture_output=True, text=True)
    header = re.search(r'CUDA Version: *(\d+)\.(\d+)', subprocess.run(['nvidia-smi'], capture_output=True, text=True).stdout)
    gpus = re.findall(r'^GPU \d+: (.+?)(?: \(UUID.*)?$', names.stdout, re.MULTILINE) if names.returncode == 0 else []
    return ', '.join(gpus), (int(header[1]), int(header[2])) if header else None
