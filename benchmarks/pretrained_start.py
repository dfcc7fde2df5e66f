"""What a pretrained start and distillation are worth on a thousand images: kNN of four subnets, by seed (docs/results.md).

    python benchmarks/pretrained_start.py --imagenette DIR --source FILE [--variants distill …] [--seeds 0 1 2]

A run that is there is not trained again, and one that was stopped goes on; the file of results keeps what other calls measured.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import record
import torch
from mmengine.config import Config

from gaia_ssl import Arch, ArchSpace
from gaia_ssl.checkpoint import latest_checkpoint
from gaia_ssl.datasets.center_crops import CenterCrops
from gaia_ssl.evaluation.subnet_scores import SubnetJudge
from gaia_ssl.export import read_subnet
from gaia_ssl.export.source_supernet import write_source_supernet

ROOT = Path(__file__).resolve().parents[1]
RESOLUTION = 112
ARCHS = ('64-32x3-64x4-128x6-256x3', '64-24x3-48x4-96x6-192x3', '48-24x2-48x3-96x4-192x2', '32-16x2-32x2-64x2-128x2')
"""The source's own arch; smaller ones of 0.69, 0.50 and 0.20 G at 112 px in the table's unit of 224 px."""
MOCO, DISTILL = 'mocov2_thin_start_imagenette', 'distill_thin_imagenette'
VARIANTS: dict[str, tuple[str, dict]] = {
    'scratch': (MOCO, {}),
    'mocov2': (MOCO, {}),
    'mocov2_frozen': (MOCO, {'model.teacher_momentum': 1.0}),
    'distill': (DISTILL, {}),
    'distill_unsorted': (DISTILL, {'model.backbone.sort_pretrained': False}),
}
"""The config of a training and what is changed in it; ``untrained`` is the start itself."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--imagenette', type=Path, required=True, help='folder with train/CLASS/ and val/CLASS/')
    parser.add_argument('--source', required=True, help='the pretrained ResNet')
    parser.add_argument('--variants', nargs='+', choices=['untrained', *VARIANTS], default=['untrained', *VARIANTS])
    parser.add_argument('--seeds', type=int, nargs='+', default=[0, 1, 2])
    parser.add_argument('--epochs', type=int, help="length of a training (default: the config's)")
    parser.add_argument('--cfg-options', nargs='+', default=[], metavar='KEY=VALUE', help='changed in every training')
    parser.add_argument('--name', default='pretrained_start', help='of the file of results (default: %(default)s)')
    parser.add_argument('--work-dir', type=Path, default=Path('work_dirs/pretrained_start'))
    arguments = parser.parse_args()

    path = record.RESULTS / f'{arguments.name}.json'
    rows = json.loads(path.read_text())['results'] if path.is_file() else []
    for seed in arguments.seeds:
        for variant in arguments.variants:
            folder = arguments.work_dir / f'{variant}_seed{seed}'
            folder.mkdir(parents=True, exist_ok=True)
            checkpoint, minutes = make(variant, seed, folder, arguments)
            scores = judge(checkpoint, arguments.imagenette)
            row = dict(variant=variant, seed=seed, epochs=arguments.epochs, options=arguments.cfg_options, minutes=minutes,
                       knn=dict(zip(ARCHS, scores, strict=True)))
            rows = [each for each in rows if any(each[name] != row[name] for name in ('variant', 'seed', 'epochs', 'options'))]
            rows.append(row)
            record.write(arguments.name, rows)
            print(variant, seed, minutes, scores, flush=True)
    print(table(rows).to_string())


def make(variant: str, seed: int, folder: Path, arguments: argparse.Namespace) -> tuple[Path, float | None]:
    """The checkpoint of a variant; and the minutes that it took, if it was made in one go."""
    if variant == 'untrained':
        model = Config.fromfile(ROOT / 'configs' / 'data' / f'{MOCO}.py').model
        torch.manual_seed(seed)
        meta = dict(space=ArchSpace(**model.backbone.space), stem_kernel=7, method='SupernetMoCo',
                    **{name: model.data_preprocessor[name] for name in ('mean', 'std', 'to_rgb')})
        write_source_supernet(arguments.source, meta, folder / 'untrained.pth')
        return folder / 'untrained.pth', None
    name, changes = VARIANTS[variant]
    changes = {**changes, 'randomness.seed': seed, 'default_hooks.checkpoint.max_keep_ckpts': 2}
    if arguments.epochs:
        changes['train_cfg.max_epochs'] = arguments.epochs
    done = folder / 'minutes.json'
    if done.is_file():
        return Path(latest_checkpoint(folder)), json.loads(done.read_text())
    fresh = not any(folder.glob('epoch_*.pth'))
    start = [] if variant == 'scratch' else ['--start', arguments.source]
    words = [ROOT / 'tools' / 'train.py', ROOT / 'configs' / 'data' / f'{name}.py', '--data', arguments.imagenette / 'train',
             '--work-dir', folder, *(start if fresh else ['--resume']),
             '--cfg-options', *(f'{key}={value}' for key, value in changes.items()), *arguments.cfg_options]
    began = time.monotonic()
    with open(folder / 'output.log', 'a', encoding='utf-8') as log:
        subprocess.run([sys.executable, *map(str, words)], check=True, stdout=log, stderr=subprocess.STDOUT,
                       env={'OMP_NUM_THREADS': '1', **os.environ})
    minutes = round((time.monotonic() - began) / 60, 1) if fresh else None
    done.write_text(json.dumps(minutes))
    return Path(latest_checkpoint(folder)), minutes


def judge(checkpoint: Path, images: Path) -> list[float]:
    """kNN, k 20, of each of :data:`ARCHS`, top-1 in percent, batch norms calibrated on the training images."""
    subnets = [read_subnet(str(checkpoint), Arch.parse(arch)) for arch in ARCHS]
    normalisation = [subnets[0][1][name] for name in ('mean', 'std', 'to_rgb')]
    train, val = (CenterCrops(str(images / split), *normalisation, RESOLUTION, batch_size=100, with_label=True, keep=True)
                  for split in ('train', 'val'))
    judged = SubnetJudge(train, val, ['knn'])
    return [round(100 * judged.judge(subnet, ['knn'])['knn'], 1) for subnet, _ in subnets]


def table(rows: list[dict]) -> pd.DataFrame:
    """Mean and standard deviation over seeds, a row a variant, a column an arch."""
    frame = pd.DataFrame([dict(variant=row['variant'], epochs=row['epochs'] or '', options=' '.join(row['options']), arch=arch,
                               knn=knn) for row in rows for arch, knn in row['knn'].items()])
    groups = frame.groupby(['variant', 'epochs', 'options', 'arch'], sort=False)['knn']
    text = groups.mean().map('{:.1f}'.format) + ' ± ' + groups.std().map('{:.1f}'.format)
    return text.unstack('arch')[list(ARCHS)]


if __name__ == '__main__':
    main()
