"""The main job in minutes: images -> supernet -> search -> export -> a fine-tuned detector.

Without --data it uses demo scenes that it renders; with --data DIR, the supernet is trained and searched on your images,
and the detector, which needs annotations, is still fine-tuned on the demo scenes. With --start FILE, the supernet starts from
a pretrained ResNet and learns from it, with settings that follow from the number of images. Everything lands in
work_dirs/quickstart.
"""

import argparse
import json
import shlex
import sys
import time
from pathlib import Path

import import_guard  # noqa: F401

import pandas as pd
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
from gaia_ssl.file_choice import FileChoice
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
"""Of the demo's own supernet; one inside a pretrained ResNet has groups of its own."""
TASK = 'coco-mask-rcnn'
SHOWN = (' images: ', 'not read:', 'as masks do',
         '(train)', '(val)', '(test)', 'settings for', 'Started from', ': rankme ', 'multiply-adds', 'minutes, by',
         'archs/s', 'WARNING - unreadable', 'cannot read', 'calibrating', 'verified:', 'bbox_mAP')
console = PlainConsole(100)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--data', metavar='DIR', help='a folder of your own images, without labels (default: demo scenes)')
    cli.add_files_arguments(parser, listed=False)
    parser.add_argument('--start', metavar='FILE', help='a pretrained ResNet to start and to learn from, e.g. resnet50.pth')
    parser.add_argument('--work-dir', default='work_dirs/quickstart', help='where results go (default: %(default)s)')
    arguments = parser.parse_args()

    choice = cli.file_choice(arguments)
    if choice and not arguments.data:
        raise UserError(f'{choice}: for images of your own; give --data, too')
    if arguments.data:
        check_number(Path(arguments.data).expanduser(), choice)
    start = time.monotonic()
    work = Path(arguments.work_dir).resolve()
    step(1, 'demo scenes with COCO annotations (20 seconds on two idle cores)')
    demo = generate_demo_data(work / 'demo_data', num_train=800, num_val=100, size=160)
    images = Path(arguments.data).expanduser().resolve() if arguments.data else demo / 'train2017'
    for line in ImageFolder(str(images), pipeline=[], **choice.arguments()).described:
        console.print(line, soft_wrap=True)
    start_file = Path(arguments.start).expanduser().resolve() if arguments.start else None
    run = work / f"{f'own_{images.name}' if arguments.data else 'demo'}{f'_from_{start_file.stem}' if start_file else ''}"
    check_same_inputs(run, images, start_file, choice)

    if start_file:
        step(2, f'let a supernet inside {start_file.name} learn from it on these images, without labels')
        console.print('RankMe, how many dimensions embeddings use, is at first that of a random projection of good features,\n'
                      "then that of predictions of the source's: it may fall while subnets get better.")
    else:
        step(2, 'train one supernet on these images, without labels (2 to 3 minutes on two idle cores)')
    supernet = train(run / 'supernet', images, start_file, choice)
    step(3, 'score all of its subnets on these images, without labels'
         + ('' if start_file else ' (under a minute on two idle cores)'))
    search(run / 'search', images, supernet, 'search_start.py' if start_file else 'search.py', choice)
    winners = read_winners(run / 'search')
    group = middle_group(winners) if start_file else GROUP
    [arch] = winners.loc[winners['group'] == group, 'arch']
    step(4, f'export the best of the group {group}, {arch}')
    backbone = export(run / 'export', images, supernet, arch, demo, choice)
    step(5, "fine-tune Mask R-CNN from it on the demo scenes, with mmdet's own tool (2 to 3 minutes on two idle cores)")
    metrics = fine_tune(run / 'detector', backbone.with_name(f'{TASK}_small.py'))

    step(6, f'done in {(time.monotonic() - start) / 60:.1f} minutes')
    console.print(winners_table(winners))
    console.print(f"""
Report:            {run / 'search' / 'report.html'} (open it in a browser: pick a budget, get the subnet)
Pareto picture:    {run / 'search' / 'pareto.png'}
Full ranking:      {run / 'search' / 'ranking.csv'}
Exported backbone: {backbone}
Detector:          Mask R-CNN on demo scenes, box mAP {metrics['coco/bbox_mAP']:.3f} (AP50 {metrics['coco/bbox_mAP_50']:.3f}), \
mask mAP {metrics['coco/segm_mAP']:.3f}

The same on your own images (a folder, no labels needed):
  bash tools/quickstart.sh --data /path/to/images
From a pretrained ResNet, the better way where you have one (torchvision, timm, MoCo, DINO):
  bash tools/quickstart.sh --data /path/to/images --start resnet50.pth
In earnest, on your GPUs (see README.md):
  source .venv/bin/activate
  bash tools/dist_train.sh configs/data/mocov2_r_supernet.py 8 --data /path/to/images
  python tools/search.py configs/search/c2-c5_coco.py work_dirs/mocov2_r_supernet/epoch_200.pth \
--data /path/to/images
  python tools/export.py work_dirs/mocov2_r_supernet/epoch_200.pth ARCH work_dirs/export --for {TASK} --data data/coco
  python {tool('mmdet', 'train.py')} work_dirs/export/{TASK}.py --auto-scale-lr""", soft_wrap=True)


def step(number: int, text: str) -> None:
    console.print(f'\n[{number}/6] {text}', style='bold')


def check_number(images: Path, choice: FileChoice) -> None:
    """Raise a UserError if there are too few images for one batch of the training."""
    batch = Config.fromfile(CONFIGS / 'train.py').train_dataloader.batch_size
    found = len(ImageFolder(str(images), pipeline=[], **choice.arguments()))
    if found < batch:
        raise UserError(f'--data {images}: holds {found} images, and the quickstart learns from batches of {batch}; give more, '
                        'or take gaia-ssl train with --cfg-options train_dataloader.batch_size=…')


def check_same_inputs(run: Path, images: Path, start_file: Path | None, choice: FileChoice) -> None:
    """A run belongs to one folder of images, start and choice of files: refuse to go on with others of the same name."""
    for name, given in (('images.txt', images), ('start.txt', start_file), ('files.txt', choice)):
        note = run / name
        if note.is_file() and note.read_text() != str(given):
            raise UserError(f'{run} holds a run on {note.read_text()}; remove it or give another --work-dir')
        if given is not None:
            with atomic_path(note) as temporary:
                temporary.write_text(str(given))


def train(folder: Path, images: Path, start_file: Path | None, choice: FileChoice) -> Path:
    """The supernet's last checkpoint, named in a file once the training has ended."""
    finished = folder / 'trained.txt'
    if not finished.is_file():
        config = CONFIGS / 'train.py'
        start = ['--resume']
        if start_file:
            settings = Config.fromfile(CONFIGS / 'train_start.py')
            settings.custom_hooks[-1].train = str(images)
            write_config(settings, config := folder / 'train_start.py')
            if not latest_checkpoint(folder):
                start = ['--start', start_file, '--overwrite']
        call(folder, TOOLS / 'train.py', config, '--work-dir', folder, *start, *(['--amp'] if computes_bfloat16() else []),
             '--data', images, *choice.options())
        with atomic_path(finished) as temporary:
            temporary.write_text(Path(latest_checkpoint(folder)).name)
    return folder / finished.read_text()


def search(folder: Path, images: Path, supernet: Path, config: str, choice: FileChoice) -> None:
    if not (folder / 'best.json').is_file():
        call(folder, TOOLS / 'search.py', CONFIGS / config, supernet, '--work-dir', folder, '--resume', '--data', images,
             *choice.options())


def middle_group(winners: pd.DataFrame) -> str:
    """The group in the middle, by what its winner costs."""
    return winners.sort_values('flops')['group'].iloc[len(winners) // 2]


def export(folder: Path, images: Path, supernet: Path, arch: str, demo: Path, choice: FileChoice) -> Path:
    backbone = folder / BACKBONE
    if not backbone.is_file():
        call(folder, TOOLS / 'export.py', supernet, arch, folder, '--for', TASK, '--small', '--data', demo, '--images', images,
             '--resolution', RESOLUTION, '--max-images', 256, '--overwrite', *choice.options())
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
    cli.run(main, 'all that was finished is kept; the same command goes on')
