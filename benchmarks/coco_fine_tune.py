"""Is the searched backbone worth it? Mask R-CNN from it and from scratch, by mmdet's own tool, on data in COCO's layout.

    python tools/export.py CHECKPOINT ARCH work_dirs/export --for coco-mask-rcnn --small --data /path/to/coco
    python benchmarks/coco_fine_tune.py work_dirs/export [--iterations 200] [--seeds 0 1]
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

import record
from mmengine.config import Config
from mmengine.utils import get_installed_path
from rich.console import Console
from rich.table import Table

from gaia_ssl.export.detector_config import quick_mask_rcnn

CONFIG = 'coco-mask-rcnn_small.py'


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('export', type=Path, help='what tools/export.py wrote')
    parser.add_argument('--work-dir', type=Path, default=Path('work_dirs/coco_fine_tune'))
    parser.add_argument('--iterations', type=int, default=200)
    parser.add_argument('--image-size', type=int, default=256)
    parser.add_argument('--batch-size', type=int, default=4)
    parser.add_argument('--channels', type=int, default=128, help='width of FPN and heads')
    parser.add_argument('--seeds', type=int, nargs='+', default=[0])
    arguments = parser.parse_args()

    rows = [dict(start=start, seed=seed, **fine_tune(arguments, start, seed))
            for seed in arguments.seeds for start in ('searched', 'scratch')]
    table = Table('start', 'seed', 'loss', 'box mAP', 'box AP50', 'mask mAP', title='Mask R-CNN, fine-tuned')
    for row in rows:
        table.add_row(row['start'], str(row['seed']), *(f'{value:.4f}' for value in list(row.values())[2:]))
    Console().print(table)
    arch = Config.fromfile(arguments.export / CONFIG).model.backbone.arch
    record.write('coco_fine_tune', dict(arch=arch, settings={k: str(v) for k, v in vars(arguments).items()}, rows=rows))


def fine_tune(arguments: argparse.Namespace, start: str, seed: int) -> dict[str, float]:
    """Train and evaluate one detector; its mean loss over the last logged iterations, and its mAPs."""
    config = quick_mask_rcnn(Config.fromfile(arguments.export / CONFIG), arguments.image_size, arguments.iterations,
                             arguments.batch_size, arguments.channels)
    config.randomness = dict(seed=seed)
    if start == 'scratch':
        del config.model.backbone['init_cfg']
    folder = arguments.work_dir / f'{start}_{seed}'
    folder.mkdir(parents=True, exist_ok=True)
    config.dump(folder / 'detector.py')
    tool = Path(get_installed_path('mmdet')) / '.mim' / 'tools' / 'train.py'
    with open(folder / 'output.log', 'w', encoding='utf-8') as log:
        print(f'{start}, seed {seed}: see {folder}/output.log', flush=True)
        subprocess.run([sys.executable, str(tool), str(folder / 'detector.py'), '--work-dir', str(folder)], check=True,
                       stdout=log, stderr=subprocess.STDOUT)
    latest = max(folder.glob('*/vis_data/scalars.json'), key=lambda path: path.stat().st_mtime)
    lines = [json.loads(line) for line in latest.read_text().splitlines()]
    losses = [line['loss'] for line in lines if 'loss' in line]
    final = [line for line in lines if 'coco/bbox_mAP' in line][-1]
    return dict(loss=losses[-1], box_map=final['coco/bbox_mAP'], box_ap50=final['coco/bbox_mAP_50'],
                mask_map=final['coco/segm_mAP'])


if __name__ == '__main__':
    main()
