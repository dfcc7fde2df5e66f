"""Make the README's pictures from a finished quickstart: python docs/pictures.py work_dirs/quickstart

``path.png``: images, the supernet's training, all subnets, the detector's boxes. ``report.png``: the report page in a browser
(needs chromium and chromedriver). ``pareto.png``: the search's own plot.
"""

import pathlib
import shutil
import sys

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.patches import Rectangle
from mmdet.apis import inference_detector, init_detector
from PIL import Image
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from torchvision.ops import nms

from gaia_ssl.checkpoint import latest_checkpoint
from gaia_ssl.run_log import read_run_log
from gaia_ssl.search.outcome import read_winners

IMAGES = pathlib.Path(__file__).parent / 'images'
TASK = 'c2-c5'


def main() -> None:
    work = pathlib.Path(sys.argv[1])
    run, data = work / 'demo', work / 'demo_data'
    draw_path(run, data, IMAGES / 'path.png')
    page = work / 'report.html'  # as it is in the folder that is the quickstart's own
    page.write_text((run / 'search' / 'report.html').read_text().replace(str(work.resolve()), 'work_dirs/quickstart'))
    take_screenshot(page, IMAGES / 'report.png')
    shutil.copy2(run / 'search' / 'pareto.png', IMAGES / 'pareto.png')


def draw_path(run: pathlib.Path, data: pathlib.Path, out: pathlib.Path) -> None:
    figure, axes = plt.subplots(1, 4, figsize=(15, 3.9), layout='constrained')
    show_images(axes[0], sorted((data / 'train2017').iterdir())[:9])
    show_training(axes[1], run / 'supernet')
    show_subnets(axes[2], run / 'search')
    show_boxes(axes[3], run / 'detector', sorted((data / 'val2017').iterdir())[:4])
    figure.savefig(out, dpi=90)


def show_images(axis: plt.Axes, paths: list[pathlib.Path]) -> None:
    axis.imshow(tile([np.asarray(Image.open(path).convert('RGB')) for path in paths], 3))
    axis.set_title('1  images, no labels')
    axis.axis('off')


def show_training(axis: plt.Axes, folder: pathlib.Path) -> None:
    losses = pd.DataFrame([line for line in read_run_log(folder) if 'loss' in line])
    for name in ('random_1', 'random_2', 'max'):
        axis.plot(losses['step'], losses[f'loss_{name}'], label=name.replace('_1', '').replace('_2', ' (second)'))
    axis.set(title='2  one supernet learns', xlabel='iteration', ylabel='loss of a subnet')
    axis.legend(title='subnet')


def show_subnets(axis: plt.Axes, folder: pathlib.Path) -> None:
    ranking = pd.read_csv(folder / 'ranking.csv')
    axis.scatter(ranking['flops'] / 1e9, ranking[TASK], s=2, alpha=0.3, linewidths=0)
    winners = read_winners(folder)
    axis.scatter(winners['flops'] / 1e9, winners['similarity'], s=60, marker='*', color='tab:red', label='best of its budget')
    axis.set(title=f'3  all {len(ranking):,} subnets, ranked', xlabel='multiply-adds / 1e9', ylabel='similarity (0 is best)')
    axis.legend(loc='lower right')


def show_boxes(axis: plt.Axes, folder: pathlib.Path, paths: list[pathlib.Path]) -> None:
    model = init_detector(str(folder / 'detector.py'), str(latest_checkpoint(folder)), device='cpu')
    images = [np.asarray(Image.open(path).convert('RGB')) for path in paths]
    axis.imshow(tile(images, 2))
    for place, (path, image) in enumerate(zip(paths, images, strict=True)):
        found = inference_detector(model, str(path)).pred_instances
        left, top = place % 2 * image.shape[1], place // 2 * image.shape[0]
        found = found[found.scores > 0.15]
        for box in found.bboxes[nms(found.bboxes, found.scores, 0.2)].numpy():  # of all classes, the best at each place
            axis.add_patch(Rectangle((left + box[0], top + box[1]), *(box[2:] - box[:2]), fill=False, color='lime'))
    axis.set_title("4  mmdet's detector from the winner")
    axis.axis('off')


def tile(images: list[np.ndarray], columns: int) -> np.ndarray:
    """Pictures of one size beside and below each other."""
    rows = [np.concatenate(images[start:start + columns], axis=1) for start in range(0, len(images), columns)]
    return np.concatenate(rows)


def take_screenshot(page: pathlib.Path, out: pathlib.Path) -> None:
    options = webdriver.ChromeOptions()
    for argument in ('--headless=new', '--no-sandbox', '--window-size=1280,980'):
        options.add_argument(argument)
    with webdriver.Chrome(options=options, service=Service(shutil.which('chromedriver'))) as browser:
        browser.get(page.resolve().as_uri())
        browser.save_screenshot(str(out))


if __name__ == '__main__':
    main()
