"""The main job in minutes: images -> supernet -> search -> export -> a fine-tuned detector.

Without --data it uses demo scenes that it renders; with --data DIR, the supernet is trained and searched on your images,
and the detector, which needs annotations, is still fine-tuned on the demo scenes. Everything lands in work_dirs/quickstart.
"""

import argparse
import json
import shlex
import sys
import time
from pathlib import Path

import import_guard  # noqa: F401

from mmengine.config import Config

from gaia_ssl import cli
from gaia_ssl.checkpoint import latest_checkpoint
from gaia_ssl.config_file import write_config
from gaia_ssl.datasets import ImageFolder
from gaia_ssl.datasets.demo import generate_demo_data
from gaia_ssl.errors import UserError
from gaia_ssl.export.detector_config import quick_mask_rcnn
from gaia_ssl.export.hand_over import BACKBONE
from gaia_ssl.export.toolbox import read_metrics, tool
from gaia_ssl.files import atomic_path
from gaia_ssl.logged_process import run_logged
from gaia_ssl.precision import computes_bfloat16
from gaia_ssl.search.outcome import read_winners
from gaia_ssl.search.trust import winners_table
from gaia_ssl.terminal import PlainConsole

TOOLS = Path(__file__).resolve().parent
CONFIGS = TOOLS.parent / 'configs' / 'quickstart'
RESOLUTION = 128
GROUP = '70-100M'
TASK = 'coco-mask-rcnn'
SHOWN = ('(train)', '(val)', '(test)', 'multiply-adds', 'minutes, by', 'archs/s', 'WARNING - unreadable',
         'cannot read', 'calibrating', 'verified:', 'bbox_mAP')
console = PlainConsole(100)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--data', metavar='DIR', help='a folder of your own images, without labels (default: demo scenes)')
    parser.add_argument('--work-dir', default='work_dirs/quickstart', help='where results go (default: %(default)s)')
    arguments = parser.parse_args()

    start = time.monotonic()
    work = Path(arguments.work_dir).resolve()
    step(1, 'demo scenes with COCO annotations (20 seconds on two idle cores)')
    demo = generate_demo_data(work / 'demo_data', num_train=800, num_val=100, size=160)
    images = Path(arguments.data).expanduser().resolve() if arguments.data else demo / 'train2017'
    console.print(f'{len(ImageFolder(str(images), pipeline=[]))} images in {images}')
    run = work / (f'own_{images.name}' if arguments.data else 'demo')
    check_same_images(run, images)

    step(2, 'train one supernet on these images, without labels (2 to 3 minutes on two idle cores)')
    console.print('In so short a run the loss may rise again as the learning rate falls: at first, keys in the queue are\n'
                  'told from new ones by their age. It says little; kNN accuracy does (see docs/usage.md).')
    supernet = train(run / 'supernet', images)
    step(3, 'score all of its subnets on these images, without labels (under a minute on two idle cores)')
    search(run / 'search', images, supernet)
    arch = json.loads((run / 'search' / 'best.json').read_text())['best']['c2-c5'][GROUP]['arch']
    step(4, f'export the best of the group {GROUP}, {arch}')
    backbone = export(run / 'export', images, supernet, arch, demo)
    step(5, "fine-tune Mask R-CNN from it on the demo scenes, with mmdet's own tool (2 to 3 minutes on two idle cores)")
    metrics = fine_tune(run / 'detector', backbone.with_name(f'{TASK}_small.py'))

    step(6, f'done in {(time.monotonic() - start) / 60:.1f} minutes')
    console.print(winners_table(read_winners(run / 'search')))
    console.print(f"""
Report:            {run / 'search' / 'report.html'} (open it in a browser: pick a budget, get the subnet)
Pareto picture:    {run / 'search' / 'pareto.png'}
Full ranking:      {run / 'search' / 'ranking.csv'}
Exported backbone: {backbone}
Detector:          Mask R-CNN on demo scenes, box mAP {metrics['coco/bbox_mAP']:.3f} (AP50 {metrics['coco/bbox_mAP_50']:.3f}), \
mask mAP {metrics['coco/segm_mAP']:.3f}

The same on your own images (a folder, no labels needed):
  bash tools/quickstart.sh --data /path/to/images
In earnest, on your GPUs (see README.md):
  source .venv/bin/activate
  bash tools/dist_train.sh configs/data/mocov2_r_supernet.py 8 --data /path/to/images
  python tools/search.py configs/search/c2-c5_coco.py work_dirs/mocov2_r_supernet/epoch_200.pth \
--data /path/to/images
  python tools/export.py work_dirs/mocov2_r_supernet/epoch_200.pth ARCH work_dirs/export --for {TASK} --data data/coco
  python {tool('mmdet', 'train.py')} work_dirs/export/{TASK}.py --auto-scale-lr""", soft_wrap=True)


def step(number: int, text: str) -> None:
    console.print(f'\n[{number}/6] {text}', style='bold')


def check_same_images(run: Path, images: Path) -> None:
    """A run belongs to one folder of images: refuse to go on with another of the same name."""
    note = run / 'images.txt'
    if note.is_file() and note.read_text() != str(images):
        raise UserError(f'{run} holds a run on {note.read_text()}; remove it or give another --work-dir')
    with atomic_path(note) as temporary:
        temporary.write_text(str(images))


def train(folder: Path, images: Path) -> Path:
    config = CONFIGS / 'train.py'
    final = folder / f'iter_{Config.fromfile(config).iterations}.pth'
    if not final.is_file():
        call(folder, TOOLS / 'train.py', config, '--work-dir', folder, '--resume', *(['--amp'] if computes_bfloat16() else []),
             '--data', images)
    return final


def search(folder: Path, images: Path, supernet: Path) -> None:
    if not (folder / 'best.json').is_file():
        call(folder, TOOLS / 'search.py', CONFIGS / 'search.py', supernet, '--work-dir', folder, '--resume',
             '--data', images)


def export(folder: Path, images: Path, supernet: Path, arch: str, demo: Path) -> Path:
    backbone = folder / BACKBONE
    if not backbone.is_file():
        call(folder, TOOLS / 'export.py', supernet, arch, folder, '--for', TASK, '--small', '--data', demo, '--images', images,
             '--resolution', RESOLUTION, '--max-images', 256, '--overwrite')
    return backbone


def fine_tune(folder: Path, exported_config: Path) -> dict[str, float]:
    config, result = folder / 'detector.py', folder / 'metrics.json'
    if not result.is_file():
        write_config(quick_mask_rcnn(Config.fromfile(exported_config), RESOLUTION, iterations=150, channels=64), config)
        call(folder, tool('mmdet', 'train.py'), config, '--work-dir', folder, '--resume')
        call(folder, tool('mmdet', 'test.py'), config, latest_checkpoint(folder), '--work-dir', folder / 'test')
        with atomic_path(result) as temporary:
            temporary.write_text(json.dumps(read_metrics(folder / 'test')))
    return json.loads(result.read_text())


def call(folder: Path, *command: object) -> None:
    """Run a tool; all it says goes to ``folder/output.log``, its progress also to the terminal."""
    words = [sys.executable, *map(str, command)]
    console.print(f'$ {shlex.join(["python", *words[1:]])}', style='dim', soft_wrap=True)

    def show(line: str) -> None:
        if any(word in line for word in SHOWN):
            console.print(line.split(' - INFO - ')[-1].strip(), soft_wrap=True)

    run_logged(words, folder / 'output.log', show)


if __name__ == '__main__':
    cli.run(main)
