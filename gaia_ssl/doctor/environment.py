"""The environment that is examined: its packages, and what happens when they are imported."""

from __future__ import annotations

import dataclasses
import functools
import importlib.metadata
import json
import operator
import os
import pathlib
import re
import shlex
import subprocess
import sys

PROBES = {
    'numpy': 'import numpy',
    'cv2': 'import cv2',
    'torch': '''
import torch
value = dict(cuda=torch.version.cuda, gpu=torch.cuda.is_available())
if value['gpu']:
    torch.ones(1, device='cuda').add(1).item()
''',
    'torchvision.ops': '''
import torch, torchvision.ops
torchvision.ops.nms(torch.zeros(1, 4), torch.zeros(1), 0.5)
''',
    'mmengine.runner': 'import mmengine.runner',
    'mmcv._ext': '''
import mmcv._ext
import mmcv.ops
value = dict(cuda=mmcv.ops.get_compiling_cuda_version(), compiler=mmcv.ops.get_compiler_version(), ours=None)
if 'torchvision' in value['compiler']:
    value['ours'] = sorted({name.split('_forward')[0] for name in mmcv._ext.__all__
                            if not name.startswith('get_') and '_backward' not in name})
''',
    'mmpretrain.models': 'import mmpretrain.models',
    'mmdet.models': 'import mmdet.models',
    'mmseg.models': 'import mmseg.models',
    'gaia_ssl': '''
import pathlib, gaia_ssl, gaia_ssl.engine
folder = pathlib.Path(gaia_ssl.__file__).resolve().parent
value = dict(folder=str(folder), configs=(folder / '.mim' / 'configs').is_dir())
''',
}
"""Python that must run, in the order of dependence; ``value`` is what it tells."""

_PROBER = '''
import json, sys
sys.path[:] = json.loads(sys.argv[1]) + [entry for entry in sys.path if entry]
for name, code in json.loads(sys.argv[2]).items():
    scope = dict(value=None)
    try:
        exec(code, scope)
        answer = dict(value=scope['value'])
    except BaseException as error:
        answer = dict(error=f'{type(error).__name__}: {error}')
    print('\\nPROBE ' + json.dumps([name, answer]), flush=True)
'''


@dataclasses.dataclass
class Environment:
    """What is examined.

    Args:
        requirements: The folder with ``torch.txt``, ``openmmlab.txt`` and ``runtime.txt``.
        path: Folders with packages; None examines this interpreter's own.
        version: Python's ``(major, minor)``.
        shm: Where shared memory is mounted.
        room: The folder whose disk is examined.
    """

    requirements: pathlib.Path
    path: list[str] | None = None
    version: tuple[int, int] = sys.version_info[:2]
    shm: str = '/dev/shm'
    room: str = '.'

    @property
    def pip(self) -> str:
        """As one types it."""
        return f'{shlex.quote(sys.executable)} -m pip'

    @functools.cached_property
    def packages(self) -> dict[str, importlib.metadata.Distribution]:
        """What is installed, by normalised name."""
        found = importlib.metadata.distributions(**({} if self.path is None else dict(path=self.path)))
        packages: dict[str, importlib.metadata.Distribution] = {}
        for package in found:
            if package.metadata['Name']:
                packages.setdefault(normalised(package.metadata['Name']), package)
        return packages

    @functools.cached_property
    def ranges(self) -> dict[str, str]:
        """The versions of each package that gaia_ssl takes, such as ``>=2.6``, where it is installed."""
        package = self.packages.get('gaia-ssl')
        found = [re.match(r'([\w.-]+)\s*\(?([<>=!~][^;)]*)', line) for line in (package and package.requires) or []]
        return {normalised(match[1]): match[2].strip() for match in found if match}

    def needs(self, name: str) -> bool:
        """Whether gaia_ssl cannot do without a package; where it is not installed, all that are pinned are needed."""
        package = self.packages.get('gaia-ssl')
        lines = (package and package.requires) or [name]
        needed = {normalised(re.split(r'[^\w.-]', line)[0]) for line in lines if 'extra ==' not in line}
        return normalised(name) in needed

    @functools.cached_property
    def probes(self) -> dict[str, dict]:
        """The answer to each of :data:`PROBES`: its ``value``, or the ``error`` of the import, or of the process's death."""
        answers: dict[str, dict] = {}
        while waiting := {name: code for name, code in PROBES.items() if name not in answers}:
            options = ['-S'] if self.path is not None else []  # hides the interpreter's own packages
            words = [sys.executable, *options, '-c', _PROBER, json.dumps(self.path or []), json.dumps(waiting)]
            process = subprocess.run(words, capture_output=True, text=True, errors='replace', stdin=subprocess.DEVNULL)
            lines = process.stdout.splitlines()
            answers.update(json.loads(line[6:]) for line in lines if line.startswith('PROBE '))
            crashed = next((name for name in waiting if name not in answers), None)
            if crashed is not None:
                last = (process.stderr.strip().splitlines() or [''])[-1]
                answers[crashed] = dict(error=f'the process died with status {process.returncode} {last}'.strip())
        return answers

    def requirements_of(self, group: str) -> dict[str, str | None]:
        """Name -> pinned version, or None, of a requirements file."""
        text = (self.requirements / f'{group}.txt').read_text(encoding='utf-8')
        return {match[1]: match[2] for match in re.finditer(r'^([\w.-]+)(?:==(\S+))?', text, re.MULTILINE)}

    def file_of(self, group: str) -> str:
        """A requirements file, as one types it."""
        return shlex.quote(os.path.relpath(self.requirements / f'{group}.txt'))

    def install_gaia_ssl(self) -> str:
        """The command that installs this checkout, or where there is none, any."""
        root = self.requirements.parent
        if not (root / 'pyproject.toml').is_file() and not (root / 'setup.py').is_file():  # an installed package
            return f'# in a checkout of gaia_ssl:\n  {self.pip} install --no-build-isolation --no-deps --force-reinstall .'
        return f'{self.pip} install --no-build-isolation --no-deps --editable {shlex.quote(os.path.relpath(root))}'

    def reinstall(self, name: str) -> str:
        """The command that puts a pinned package in place of whatever is there."""
        cache = '--no-cache-dir ' if name == 'onedl-mmcv' else ''  # which may hold one that was compiled for another torch
        pins = {**self.requirements_of('torch'), **self.requirements_of('openmmlab')}
        return f'{self.pip} install {cache}--no-deps --force-reinstall {name}=={pins[name]}'


def within(version: str, taken: str) -> bool:
    """Whether a version such as ``2.6.0+cpu`` lies in a range such as ``>=2.6,<3``."""
    compare = {'>=': operator.ge, '<=': operator.le, '==': operator.eq, '!=': operator.ne, '<': operator.lt, '>': operator.gt}
    return all(compare[match[1]](_numbers(version), _numbers(match[2]))
               for match in re.finditer(r'([<>=!]=|[<>])\s*([\w.+]+)', taken))


def _numbers(version: str) -> tuple[int, ...]:
    """Of a release, without trailing zeros: (2, 6) for ``2.6.0+cpu``."""
    release = re.match(r'\d+(?:\.\d+)*', version)
    numbers = [int(number) for number in release[0].split('.')] if release else []
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)


def normalised(name: str) -> str:
    return re.sub(r'[-_.]+', '-', name).lower()
