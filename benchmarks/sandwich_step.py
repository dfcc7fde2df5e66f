"""What the sandwich step costs: time against the same four passes through plain static modules, and peak memory against
one step of mmpretrain's own MoCo v2 on the max net.

    python benchmarks/sandwich_step.py [--space small|data|resnet50] [--batch-size 32] [--resolution 224] [--dtype bfloat16]

``--dtype tf32`` is float32 whose convolutions a GPU rounds to TF32, as torch has it by default; ``float32`` is all of it.
"""

import argparse
import multiprocessing
import statistics
from pathlib import Path

import record
import torch
from mmengine.optim import OptimWrapper
from mmpretrain.registry import MODELS
from torch.nn import functional as F

from gaia_ssl import DATA_SPACE, ArchSpace
from gaia_ssl.allocator import keep_freed_memory
from gaia_ssl.engine import AutocastOptimWrapper
from gaia_ssl.models import SubnetResNet
from gaia_ssl.space import SandwichSampler

SPACES = dict(
    data=DATA_SPACE,
    resnet50=ArchSpace.read('64-64x3-128x4-256x6-512x3'),
    small=ArchSpace(stem=[16, 24, 32], widths=[[16, 24, 32], [32, 48, 64], [64, 96], [128, 192]],
                    depths=[[1, 2], [1, 2], [1, 2, 3, 4], [1, 2, 3]]))
DEVICE = 'cuda' if torch.cuda.is_available() else 'cpu'
QUEUE_LEN = 4096


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--space', choices=SPACES, default='small')
    parser.add_argument('--batch-size', type=int, default=32)
    parser.add_argument('--resolution', type=int, default=224)
    parser.add_argument('--dtype', choices=['float32', 'tf32', 'bfloat16'], default='bfloat16')
    parser.add_argument('--repeats', type=int, default=15)
    record.add_out(parser)
    arguments = parser.parse_args()

    prepare(arguments)
    torch.manual_seed(0)
    sandwich = Sandwich(arguments)
    sides = dict(sandwich=sandwich.step, static_passes=StaticPasses(arguments, sandwich.model.sandwich).run)
    seconds = record.in_turn(sides, arguments.repeats)
    ratio = record.median_ratio(seconds['sandwich'], seconds['static_passes'])
    images = arguments.batch_size / statistics.median(seconds['sandwich'])
    print(f"sandwich step {statistics.median(seconds['sandwich']):.3f} s ({images:.1f} images/s), the four static passes "
          f"{statistics.median(seconds['static_passes']):.3f} s: ratio {ratio:.3f}")

    peaks = {name: peak_megabytes(name, arguments) for name in ('sandwich', 'plain_moco')}
    memory_ratio = peaks['sandwich'] / peaks['plain_moco']
    print(f"peak memory: sandwich {peaks['sandwich']:.0f} MB, plain MoCo v2 of the max net {peaks['plain_moco']:.0f} MB: "
          f'ratio {memory_ratio:.3f}')
    archs = {name: str(arch) for name, arch in sandwich.model.sandwich.items()}
    record.write(f'sandwich_step_{arguments.space}_{arguments.dtype}_{DEVICE}',
                 dict(archs=archs, images_a_second=images, seconds=seconds, time_ratio=ratio, peak_megabytes=peaks,
                      memory_ratio=memory_ratio), arguments.out)


def prepare(arguments: argparse.Namespace) -> None:
    """This process, as the tools and the configs do."""
    keep_freed_memory()
    torch.backends.cudnn.benchmark = True
    torch.backends.cudnn.allow_tf32 = arguments.dtype == 'tf32'


class Sandwich:
    """Our step, whole: preprocessing, EMA, teacher, three archs, optimizer, queue."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        space = SPACES[arguments.space]
        self.model = MODELS.build(dict(
            type='gaia_ssl.SupernetMoCo', queue_len=QUEUE_LEN, bn_splits=1, **shared_parts(space),
            backbone=dict(type='gaia_ssl.DynamicResNet', space=space.to_dict()))).to(DEVICE).train()
        self.model.set_sandwich(0, SandwichSampler(space, seed=0).sample(0))
        self.optim_wrapper = optim_wrapper(self.model, arguments.dtype)
        self.data = batch(arguments)

    def step(self) -> None:
        self.model.train_step(self.data, self.optim_wrapper)


class PlainMoCo:
    """mmpretrain's MoCo on the static max net."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        space = SPACES[arguments.space]
        self.model = MODELS.build(dict(
            type='mmpretrain.MoCo', queue_len=QUEUE_LEN, **shared_parts(space),
            backbone=dict(type='gaia_ssl.SubnetResNet', arch=str(space.max), out_indices=(3, )))).to(DEVICE).train()
        self.optim_wrapper = optim_wrapper(self.model, arguments.dtype)
        self.data = batch(arguments)

    def step(self) -> None:
        self.model.train_step(self.data, self.optim_wrapper)


class StaticPasses:
    """The teacher's forward, and forward, loss and backward of each arch, through static modules: nothing else."""

    def __init__(self, arguments: argparse.Namespace, archs: dict) -> None:
        self.space = SPACES[arguments.space]
        self.teacher = self.branch(self.space.max).requires_grad_(False)
        self.students = [self.branch(arch) for arch in archs.values()]
        self.queue = F.normalize(torch.randn(128, QUEUE_LEN, device=DEVICE), dim=0)
        self.bfloat16 = arguments.dtype == 'bfloat16'
        self.views = [view.float().contiguous(memory_format=torch.channels_last) for view in batch(arguments)['inputs']]

    def branch(self, arch) -> torch.nn.Module:
        neck = dict(type='mmpretrain.MoCoV2Neck', in_channels=arch.out_channels[-1], hid_channels=2048, out_channels=128)
        return torch.nn.Sequential(SubnetResNet(arch, out_indices=(3, )), MODELS.build(neck)).to(DEVICE).train()

    def run(self) -> None:
        with torch.autocast(DEVICE, dtype=torch.bfloat16, enabled=self.bfloat16):
            with torch.no_grad():
                keys = F.normalize(self.teacher(self.views[1])[0].float(), dim=1)
        for student in self.students:
            student.zero_grad()
            with torch.autocast(DEVICE, dtype=torch.bfloat16, enabled=self.bfloat16):
                queries = F.normalize(student(self.views[0])[0], dim=1)
                positives = torch.einsum('nd,nd->n', queries, keys)[:, None]
                logits = torch.cat([positives, queries @ self.queue], dim=1) / 0.2
                loss = F.cross_entropy(logits, torch.zeros(len(logits), dtype=torch.long, device=DEVICE))
            loss.backward()


def shared_parts(space: ArchSpace) -> dict:
    """What both MoCo share."""
    return dict(
        neck=dict(type='mmpretrain.MoCoV2Neck', in_channels=space.max.out_channels[-1], hid_channels=2048, out_channels=128),
        head=dict(type='mmpretrain.ContrastiveHead', loss=dict(type='mmpretrain.CrossEntropyLoss'), temperature=0.2),
        data_preprocessor=dict(type='gaia_ssl.ViewPreprocessor'))


def optim_wrapper(model: torch.nn.Module, dtype: str) -> OptimWrapper:
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=1e-3, momentum=0.9)
    return (AutocastOptimWrapper if dtype == 'bfloat16' else OptimWrapper)(optimizer)


def batch(arguments: argparse.Namespace) -> dict:
    shape = (arguments.batch_size, 3, arguments.resolution, arguments.resolution)
    return dict(inputs=[torch.randn(shape, device=DEVICE) for _ in range(2)], data_samples=None)


def peak_megabytes(side: str, arguments: argparse.Namespace) -> float:
    """Peak memory of three steps in a process of its own: on the GPU as torch counts it, on the CPU what the process grew."""
    with multiprocessing.get_context('spawn').Pool(1) as pool:
        return pool.apply(_peak_here, (side, arguments))


def _peak_here(side: str, arguments: argparse.Namespace) -> float:
    Path('/proc/self/clear_refs').write_text('5')  # the process's peak starts anew from here
    prepare(arguments)
    before = resident_megabytes('VmRSS')
    subject = dict(sandwich=Sandwich, plain_moco=PlainMoCo)[side](arguments)
    for _ in range(3):
        subject.step()
    if DEVICE == 'cuda':
        return torch.cuda.max_memory_allocated() / 2**20
    return resident_megabytes('VmHWM') - before


def resident_megabytes(field: str) -> float:
    """``VmRSS`` (now) or ``VmHWM`` (peak) of this process, on Linux."""
    lines = Path('/proc/self/status').read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) / 1024


if __name__ == '__main__':
    main()
