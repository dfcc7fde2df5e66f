"""A supernet, images and configs so small that everything runs on them in moments."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import pathlib
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image

from gaia_ssl import ArchSpace
from gaia_ssl.models import SubnetResNet
from gaia_ssl.models.algorithms import Supernet
from gaia_ssl.models.supernet_meta import supernet_meta
from gaia_ssl.registry import MODELS
from tests.fork_server import Forked

torch.set_num_threads(1)  # for so little work a second thread only waits

ROOT = pathlib.Path(__file__).resolve().parents[1]

SPACE = ArchSpace(stem=(4, 8), widths=((4, 8), (8, ), (8, 16), (16, )), depths=((1, 2), (1, ), (1, 2), (1, )))
"""32 archs of 1.18 to 4.19 M multiply-adds at 32 px."""
EDGES = (1.1e6, 2e6, 3e6, 4.1e6)
"""Budget groups of 12, 11 and 8 of the 32; the max arch lies outside."""

NECK = dict(type='mmpretrain.MoCoV2Neck', hid_channels=16, out_channels=8, with_avg_pool=True)
HEAD = dict(type='mmpretrain.ContrastiveHead', loss=dict(type='mmpretrain.CrossEntropyLoss'), temperature=0.2)
PREPROCESSOR = dict(type='gaia_ssl.ViewPreprocessor', mean=[123.675, 116.28, 103.53],
                    std=[58.395, 57.12, 57.375], to_rgb=True)


_MLP = dict(hid_channels=16, out_channels=8)
METHODS = dict(
    mocov2=dict(queue_len=20, feat_dim=8, neck=_MLP),
    byol=dict(neck=_MLP, head=dict(predictor=dict(**_MLP, in_channels=8))),
    ressl=dict(queue_len=20, feat_dim=8, neck=_MLP),
    densecl=dict(queue_len=20, feat_dim=8, neck=_MLP),
    distill=dict(queue_len=20, feat_dim=64, head=dict(queue=1., relations=1.)))
"""Each method's settings on top of configs/_base_/METHOD_supernet.py."""


def photos(folder: pathlib.Path, count: int, size: int = 40, seed: int = 0) -> pathlib.Path:
    """``count`` smooth random pictures in ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    for index in range(count):
        grid = rng.integers(0, 256, (5, 5, 3), dtype=np.uint8)
        Image.fromarray(grid).resize((size, size), Image.BICUBIC).save(folder / f'{index:03d}.png')
    return folder


def labelled_photos(root: pathlib.Path, train: int = 6, val: int = 4, classes: Sequence[str] = ('blue', 'green', 'red'),
                    size: int = 40) -> pathlib.Path:
    """``root`` with ``train`` and ``val`` pictures of each class, each of its tint, in ``train/CLASS/`` and ``val/CLASS/``."""
    for split, count in (('train', train), ('val', val)):
        for index, name in enumerate(classes):
            folder = photos(root / split / name, count, size, seed=10 * index + (split == 'val'))
            for path in folder.iterdir():
                pixels = np.array(Image.open(path)) // 4
                pixels[..., index % 3] += 120
                Image.fromarray(pixels).save(path)
    return root


def overlapping_photos(folder: pathlib.Path, train: int = 12, val: int = 8, size: int = 40) -> pathlib.Path:
    """``train/`` and ``val/`` with so many pictures each of the classes ``dark`` and ``light``, which overlap."""
    for seed, (split, count) in enumerate((('train', train), ('val', val))):
        rng = np.random.default_rng(seed)
        for name, low, high in (('dark', 0, 225), ('light', 30, 255)):
            place = folder / split / name
            place.mkdir(parents=True)
            for index in range(count):
                grid = rng.integers(low, high, (5, 5, 3), dtype=np.uint8)
                Image.fromarray(grid).resize((size, size), Image.BICUBIC).save(place / f'{index:03d}.png')
    return folder


def supernet(seed: int = 0, space: ArchSpace = SPACE, stem_kernel: int = 3, method: dict | None = None) -> Supernet:
    """A supernet with random weights, batch norms included; student and teacher differ. By MoCo, if no ``method`` is given."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = MODELS.build(dict(
            method or dict(type='gaia_ssl.SupernetMoCo', queue_len=20, feat_dim=8, neck=NECK, head=HEAD),
            data_preprocessor=PREPROCESSOR,
            backbone=dict(type='gaia_ssl.DynamicResNet', stem_kernel=stem_kernel, space=space)))
        with torch.no_grad():
            for name, value in (*model.named_parameters(), *model.named_buffers()):
                if 'bn' in name or 'downsample.1' in name:
                    if value.is_floating_point():
                        value.uniform_(0.5, 1.5)
            for value in model.teacher.parameters():
                value.add_(0.3 * value.abs().mean() * torch.randn_like(value))
    return model


def distillation(teacher: dict, feat_dim: int = 64) -> dict:
    """The ``method`` of a supernet that learns from the frozen ``teacher``."""
    return dict(type='gaia_ssl.SupernetDistill', teacher=teacher, feat_dim=feat_dim, head=dict(type='gaia_ssl.DistillHead'),
                neck=dict(type='mmpretrain.LinearNeck', gap_dim=2, norm_cfg=None))


def save_supernet(path: pathlib.Path, **kwargs) -> pathlib.Path:
    """A checkpoint as training writes it."""
    model = supernet(**kwargs)
    if hasattr(model, 'frozen_teacher'):
        model.frozen_teacher.load()
    torch.save(dict(state_dict=model.state_dict(), meta=dict(gaia_ssl=supernet_meta(model))), path)
    return path


def save_teacher(path: pathlib.Path, seed: int = 0) -> dict:
    """The config of a frozen teacher with random weights, its features 64 long."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        state = SubnetResNet('8-8x1-12x1-8x2-16x1', stem_kernel=3).state_dict()
    for name, value in state.items():
        if name.endswith('bias'):
            value.add_(0.5)  # no position without a feature
    torch.save(state, path)
    return dict(type='gaia_ssl.PretrainedResNet', checkpoint=str(path))


def images(count: int, seed: int = 0, size: int = 32) -> torch.Tensor:
    """Normalised images ``(count, 3, size, size)`` that differ in brightness and contrast."""
    generator = torch.Generator().manual_seed(seed)
    scale, shift = torch.rand(2, count, 3, 1, 1, generator=generator) + 0.2
    coarse = torch.randn(count, 3, 6, 6, generator=generator)
    return torch.nn.functional.interpolate(coarse, size, mode='bicubic') * scale + shift


def write_config(path: pathlib.Path, data: pathlib.Path, epochs: int = 2, batch_size: int = 8, workers: int = 0,
                 method: str = 'mocov2', **further) -> pathlib.Path:
    """A config on the project's base: training with its random augmentations, and a search, of :data:`SPACE` at 32 px.

    Args:
        path: The file to write.
        data: The folder of images, for both.
        method: One of :data:`METHODS`. All train on the same two views.
        further: Top-level settings, as Python values; they replace those written here.
    """
    view = [
        dict(type='RandomResizedCrop', scale=32, crop_ratio_range=(0.2, 1.0), backend='pillow'),
        dict(type='RandomApply', prob=0.8,
             transforms=[dict(type='ColorJitter', brightness=0.4, contrast=0.4, saturation=0.4, hue=0.1)]),
        dict(type='RandomGrayscale', prob=0.2, keep_channels=True, channel_weights=(0.114, 0.587, 0.2989)),
        dict(type='GaussianBlur', magnitude_range=(0.1, 2.0), magnitude_std='inf', prob=0.5),
        dict(type='RandomFlip', prob=0.5),
    ]
    settings = dict(
        _base_=str(ROOT / 'configs' / '_base_' / f'{method}_supernet.py'),
        experiment_name=f'{path.parent.parent.name}_{path.parent.name}_{path.stem}',  # mmengine's loggers are global
        model=dict(METHODS[method], teacher_momentum=0.9,
                   backbone=dict(stem_kernel=3, space=dict(SPACE.to_dict(), _delete_=True))),
        train_dataloader=dict(
            batch_size=batch_size, num_workers=workers, persistent_workers=workers > 0, pin_memory=False,
            dataset=dict(data_root=str(data), pipeline=[
                dict(type='LoadImageFromFile'),
                dict(type='MultiView', num_views=2, transforms=[view]),
                dict(type='PackInputs'),
            ])),
        optim_wrapper=dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.05, momentum=0.9, weight_decay=1e-4)),
        param_scheduler=[dict(type='CosineAnnealingLR', T_max=epochs, by_epoch=True, begin=0, end=epochs,
                              convert_to_iter_based=True)],
        train_cfg=dict(type='EpochBasedTrainLoop', max_epochs=epochs),
        default_hooks=dict(logger=dict(interval=1)),
        test_dataloader=dict(
            batch_size=4, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=False),
            collate_fn=dict(type='default_collate'),
            dataset=dict(type='gaia_ssl.ImageFolder', data_root=str(data), pipeline=[
                dict(type='LoadImageFromFile'),
                dict(type='ResizeEdge', scale=36, edge='short', backend='pillow'),
                dict(type='CenterCrop', crop_size=32),
                dict(type='PackInputs'),
            ])),
        test_evaluator=[],
        test_cfg=dict(type='gaia_ssl.TaskAwareSearchLoop', tasks=['c2-c5', 'z'], measure='paper', archs=4,
                      group_edges=list(EDGES), resolution=32, dtype='float32'),
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    if method == 'distill':
        settings['model']['teacher'] = save_teacher(path.with_suffix('.teacher.pth'))
    path.write_text('\n'.join(f'{key} = {value!r}' for key, value in {**settings, **further}.items()), encoding='utf-8')
    return path


def environment(**further: str) -> dict[str, str]:
    """For processes: this Python's programs first in PATH, one thread each (the machine is shared)."""
    path = os.pathsep.join([str(pathlib.Path(sys.executable).parent), os.environ['PATH']])
    return {**os.environ, 'PATH': path, 'OMP_NUM_THREADS': '1', **further}


def start(*command: object, **env: str) -> subprocess.Popen:
    """A process in a group of its own, in the repository's root, its output as text.

    It obeys Ctrl-C, also where these tests run in a shell's background, which ignores it.
    """
    return subprocess.Popen([str(part) for part in command], cwd=ROOT, env=environment(**env), text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
                            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))


def start_tool(name: str, *arguments: object, file_size: int | None = None, **env: str) -> Forked:
    """``tools/NAME`` in a process of its own, as :func:`start`; no file of it larger than ``file_size`` bytes."""
    return Forked(ROOT / 'tools' / name, [str(part) for part in arguments], ROOT, environment(**env), file_size)


def run(*command: object, timeout: float = 300, **env: str) -> subprocess.CompletedProcess:
    """Run a command to its end, and that of its children."""
    return finish(start(*command, **env), timeout)


def finish(process: subprocess.Popen | Forked, timeout: float = 300) -> subprocess.CompletedProcess:
    """Wait for the end of a process and its children."""
    try:
        out, err = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        kill(process)
        raise
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def run_tool(name: str, *arguments: object, timeout: float = 300, **settings) -> subprocess.CompletedProcess:
    """Run ``tools/NAME`` to its end; ``settings`` as for :func:`start_tool`, for a shell script the environment."""
    if name.endswith('.sh'):
        return run('bash', ROOT / 'tools' / name, *arguments, timeout=timeout, **settings)
    return finish(start_tool(name, *arguments, **settings), timeout)


def kill(process: subprocess.Popen | Forked) -> None:
    """SIGKILL to the process and its workers, at once."""
    with contextlib.suppress(ProcessLookupError):  # it has ended meanwhile
        os.killpg(process.pid, 9)
    process.communicate()


def free_port() -> str:
    with socket.socket() as server:
        server.bind(('127.0.0.1', 0))
        return str(server.getsockname()[1])


def load_tool(name: str):
    """The module ``tools/NAME.py``."""
    if str(ROOT / 'tools') not in sys.path:
        sys.path.append(str(ROOT / 'tools'))  # where Python looks first when it runs a tool, for import_guard
    spec = importlib.util.spec_from_file_location(f'tools_{name}', ROOT / 'tools' / f'{name}.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def equal(a, b) -> bool:
    """Whether nested dicts and lists of tensors and plain values are the same to the bit."""
    if isinstance(a, torch.Tensor):
        return isinstance(b, torch.Tensor) and a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(a, dict):
        return isinstance(b, dict) and list(a) == list(b) and all(equal(a[key], b[key]) for key in a)
    if isinstance(a, Sequence) and not isinstance(a, str):
        return type(a) is type(b) and len(a) == len(b) and all(map(equal, a, b))
    return a == b
