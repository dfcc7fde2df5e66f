import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from PIL import Image

from gaia_ssl.datasets import ImageFolder
from gaia_ssl.datasets.center_crops import CenterCrops, center_crop_pipeline
from gaia_ssl.datasets.resolution import set_resolution
from gaia_ssl.file_choice import FileChoice
from gaia_ssl.pixel_range import PixelRange
from tests import tiny


@pytest.fixture
def folder(tmp_path):
    for seed, name in enumerate(('ant', 'bee')):
        tiny.photos(tmp_path / name, 5, seed=seed)
    return tmp_path


def crops(folder, **kwargs) -> CenterCrops:
    return CenterCrops(str(folder), [100., 110., 120.], [50., 60., 70.], True, 32, 4, report=lambda line: None, **kwargs)


def test_kept_images_are_the_same_and_not_read_again(folder):
    first, kept = list(crops(folder)), crops(folder, keep=True)
    next(iter(kept))  # which stops early: what it read is not all
    for attempt in range(3):
        batches = list(kept)
        assert [len(batch) for batch in batches] == [4, 4, 2]
        assert all(map(torch.equal, batches, first))
        if attempt == 0:
            for path in folder.rglob('*.png'):
                path.unlink()


@pytest.mark.parametrize('pixel_range', [None, PixelRange((0., ) * 3, (255., ) * 3)])
def test_what_keeping_takes(folder, pixel_range):
    """As torch counts the batches that it holds: bytes, or floats where there is a range."""
    kept = crops(folder, keep=True, pixel_range=pixel_range)
    list(kept)
    assert kept.kept_bytes == sum(batch.nbytes for batch in kept._kept)


def test_classes_are_named(folder):
    images = crops(folder, with_label=True, max_images=4)
    assert images.classes == ['ant', 'ant', 'bee', 'bee'] and images.labels == [0, 0, 1, 1]


def test_one_resize_everywhere(tmp_path):
    """Pooled features of what the judge, each search and each exported config show of finely textured images agree.

    OpenCV's resize leaves out pixels where Pillow's averages over them: a picture of noise keeps its contrast.
    """
    rng = np.random.default_rng(0)
    for index in range(3):
        noise = rng.integers(0, 256 >> index, (500, 560, 3)).astype(np.uint8)
        Image.fromarray(noise).save(tmp_path / f'{index}.png')
    configs = sorted((tiny.ROOT / 'configs' / 'search').glob('*.py')) + [
        tiny.ROOT / 'configs' / 'downstream' / f'{name}.py' for name in ('classification', 'imagenet-linear')]
    pipelines = {path.name: Config.fromfile(path).test_dataloader.dataset.pipeline for path in configs}
    pipelines['judge'] = center_crop_pipeline(64)
    pipelines['opencv'] = [dict(step, backend='cv2') if 'ResizeEdge' in step['type'] else step for step in pipelines['judge']]
    net = tiny.supernet().eval().backbone
    features, contrast, seen = {}, {}, {}
    for name, pipeline in pipelines.items():
        set_resolution(pipeline, 64)
        same = seen.setdefault(str([dict(step, type=step['type'].removeprefix('mmpretrain.')) for step in pipeline]), name)
        if same != name:
            features[name], contrast[name] = features[same], contrast[same]
            continue
        with DefaultScope.overwrite_default_scope('mmpretrain'), torch.no_grad():
            images = ImageFolder(str(tmp_path), pipeline=pipeline)
            batch = torch.stack([images[index]['inputs'] for index in range(3)]).float()
            features[name], contrast[name] = net((batch - 128) / 60)[-1].mean((2, 3)), batch.std((1, 2, 3))
    centre = features['judge'].mean(0)
    for name in features.keys() - {'judge', 'opencv'}:
        assert torch.nn.functional.cosine_similarity(features[name] - centre, features['judge'] - centre).min() > 0.999, name
    assert len(features) >= 12 and (contrast['opencv'] > 2 * contrast['judge']).all()


def test_which_images_there_are_is_told(folder):
    told = []
    images = CenterCrops(str(folder), [0.] * 3, [1.] * 3, True, 32, 4, choice=FileChoice(exclude=('ant/*', )),
                         report=told.append)
    assert told == [f'5 images: 5 .png in {folder}', 'not read: 5 images (by --include and --exclude)']
    assert all('/bee/' in path for path in images.paths)


def test_files_are_asked_for_by_name_with_or_without_suffix(folder):
    tiny.photos(folder / 'cat', 1)
    (folder / 'cat' / '000.png').rename(folder / 'cat' / '003.jpg')  # another file of that stem
    found = crops(folder, names=frozenset({'003.png', '004'})).paths
    assert [path.rpartition('/')[2] for path in found] == ['003.png', '004.png', '003.png', '004.png']
