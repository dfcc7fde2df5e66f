import os
import random
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from mmcv.transforms import BaseTransform
from mmengine.dataset import default_collate
from mmengine.registry import DATASETS, init_default_scope
from mmengine.runner import Runner
from PIL import Image
from torch.utils.data import DataLoader

from gaia_ssl.datasets import ImageFolder, SeededSampler
from gaia_ssl.errors import UserError
from tests import tiny
from tests.datasets.conftest import photo

PLAIN = [dict(type='LoadImageFromFile'), dict(type='PackInputs')]
DAMAGED = ('a/00_truncated.jpg', 'a/0_zero_bytes.jpg', 'b/4_truncated.png', 'b/7_text.jpg')  # see conftest.py
# mmpretrain's configs/_base_/datasets/imagenet_bs32_mocov2.py, at 32 px
MOCO_VIEW = [
    dict(type='RandomResizedCrop', scale=32, crop_ratio_range=(0.2, 1.), backend='pillow'),
    dict(
        type='RandomApply',
        transforms=[dict(type='ColorJitter', brightness=0.4, contrast=0.4, saturation=0.4, hue=0.1)],
        prob=0.8),
    dict(type='RandomGrayscale', prob=0.2, keep_channels=True, channel_weights=(0.114, 0.587, 0.2989)),
    dict(type='GaussianBlur', magnitude_range=(0.1, 2.0), magnitude_std='inf', prob=0.5),
    dict(type='RandomFlip', prob=0.5),
]
MOCO = [
    dict(type='LoadImageFromFile'),
    dict(type='MultiView', num_views=2, transforms=[MOCO_VIEW]),
    dict(type='PackInputs'),
]


@pytest.fixture(autouse=True)
def mmpretrain_scope():
    init_default_scope('mmpretrain')


def moco_dataset(root: Path | str) -> ImageFolder:
    return DATASETS.build(dict(type='gaia_ssl.ImageFolder', data_root=str(root), pipeline=MOCO))


def relative(paths, root: Path) -> list[str]:
    return [os.path.relpath(path, root) for path in paths]


def test_finds_all_images_of_the_tree_in_order(folder):
    dataset = ImageFolder(str(folder), pipeline=PLAIN)
    found = relative([dataset.get_data_info(i)['img_path'] for i in range(len(dataset))], folder)
    assert found == [
        'a/0.jpg', 'a/1_gray.png', 'a/deep/2_alpha.png', 'a/deep/3.JPEG', 'b/4.WebP', 'b/5_gray_alpha.png',
        'b/6_palette.png'
    ]
    assert 'gt_label' not in dataset.get_data_info(0)


def test_every_colour_mode_gives_three_channels(folder):
    dataset = ImageFolder(str(folder), pipeline=PLAIN)
    for sample in (dataset[i] for i in range(len(dataset))):
        assert sample['inputs'].shape == (3, 48, 48)
        assert sample['data_samples'].unreadable == ()
        assert 'unreadable' in sample['data_samples'].metainfo_keys()


def test_folder_per_class(folder):
    dataset = ImageFolder(str(folder), with_label=True, pipeline=PLAIN)
    assert dataset.CLASSES == ('a', 'b')
    assert dataset.get_gt_labels().tolist() == [0, 0, 0, 0, 1, 1, 1]


def test_data_prefix_is_inside_data_root(folder):
    assert len(ImageFolder(str(folder), data_prefix='b', pipeline=PLAIN)) == 3


@pytest.mark.parametrize('kind, suffix', [('JPEG', 'jfif'), ('GIF', 'gif'), ('JPEG2000', 'jp2'), ('TGA', 'TGA')])
def test_rarer_formats(tmp_path, kind, suffix):
    """Read as the same picture that Pillow reads."""
    photo(0).save(tmp_path / f'x.{suffix}', kind)
    sample = ImageFolder(str(tmp_path), pipeline=PLAIN)[0]
    expected = np.array(Image.open(tmp_path / f'x.{suffix}').convert('RGB'))
    assert sample['data_samples'].unreadable == ()
    assert np.abs(sample['inputs'].numpy()[::-1].transpose(1, 2, 0).astype(int) - expected).max() <= 2


def test_patterns(folder):
    dataset = ImageFolder(str(folder), include=['a/*', '*.webp'], exclude='*.png', pipeline=PLAIN)
    found = relative([dataset.get_data_info(i)['img_path'] for i in range(len(dataset))], folder)
    assert found == ['a/0.jpg', 'a/deep/3.JPEG', 'b/4.WebP']
    assert dataset.described == [f'3 images: 1 .jpg, 1 .jpeg, 1 .webp in {folder}',
                                 'not read: 1 .txt (of no suffix that is read); 4 images (by --include and --exclude)']
    with pytest.raises(UserError, match=r"no image in .*; 7 are left out by --include '\*.bmp'"):
        ImageFolder(str(folder), include='*.bmp', pipeline=PLAIN)


def test_a_list(folder, tmp_path):
    """With a byte order mark, blank lines, Windows' line ends, spaces in a name, and a full path."""
    (folder / 'a' / '0.jpg').rename(folder / 'a' / 'my photo 0.jpg')
    listed = tmp_path / 'list.txt'
    listed.write_bytes(f'\ufeffa/my photo 0.jpg\r\n\r\n{folder}/b/4.WebP\r\n  \na/1_gray.png'.encode())
    dataset = ImageFolder(str(folder), ann_file=str(listed), exclude='*_gray.png', pipeline=PLAIN)
    assert [dataset[index]['data_samples'].img_path for index in range(len(dataset))] == [
        f'{folder}/a/my photo 0.jpg', f'{folder}/b/4.WebP']
    assert dataset.described == [f'2 images: 1 .jpg, 1 .webp in {listed}']
    with pytest.raises(UserError, match=r"lists no image that .*--include '\*.gif'"):
        ImageFolder(str(folder), ann_file=str(listed), include='*.gif', pipeline=PLAIN)


def test_a_class_without_images_and_files_of_no_class(folder):
    (folder / 'c').mkdir()
    (folder / '.Trash-0').mkdir()
    (folder / '0.jpg').write_bytes((folder / 'a' / '0.jpg').read_bytes())
    dataset = ImageFolder(str(folder), with_label=True, pipeline=PLAIN)
    assert dataset.CLASSES == ('a', 'b', 'c') and len(dataset) == 7
    assert 'no image of 1 of the 3 classes, first of all c' in dataset.described


def test_home_directory_is_expanded(folder, monkeypatch):
    monkeypatch.setenv('HOME', str(folder))
    assert len(ImageFolder('~/a', pipeline=PLAIN)) == 4


@pytest.mark.parametrize('with_label', [False, True])
def test_no_image_is_a_user_error(tmp_path, with_label):
    (tmp_path / 'empty').mkdir()
    (tmp_path / 'empty' / 'class').mkdir()
    (tmp_path / 'empty' / 'notes.txt').write_text('')
    with pytest.raises(UserError, match=r'no image.*empty.*\.jpeg, \.jpg.*\.webp') as info:
        ImageFolder(str(tmp_path / 'empty'), with_label=with_label)
    assert '\n' not in str(info.value)


@pytest.mark.parametrize('with_label', [False, True])
def test_missing_folder_is_a_user_error(tmp_path, with_label):
    with pytest.raises(UserError, match=r'no such folder: .*nowhere.*\.jpg.*\.webp') as info:
        ImageFolder(str(tmp_path / 'nowhere'), with_label=with_label)
    assert '\n' not in str(info.value)


def test_no_folder_given_is_a_user_error():
    with pytest.raises(UserError, match='set data_root'):
        ImageFolder(pipeline=PLAIN)


def test_the_next_readable_image_replaces_a_bad_one(damaged_folder):
    dataset = ImageFolder(str(damaged_folder), pipeline=PLAIN)
    paths = relative([dataset.get_data_info(i)['img_path'] for i in range(len(dataset))], damaged_folder)
    good = [i for i, path in enumerate(paths) if path not in DAMAGED]
    assert len(good) == 7 and len(paths) == 11
    for i in range(len(dataset)):
        expected = next(k % 11 for k in range(i, i + 11) if k % 11 in good)
        sample = dataset[i]
        assert relative([sample['data_samples'].img_path], damaged_folder) == [paths[expected]]
        assert torch.equal(sample['inputs'], dataset[expected]['inputs'])
        skipped = [paths[k % 11] for k in range(i, i + (expected - i) % 11)]
        assert isinstance(sample['data_samples'].unreadable, tuple)
        assert relative(sample['data_samples'].unreadable, damaged_folder) == skipped


@pytest.mark.slow
def test_the_next_readable_image_replaces_a_bad_one_without_assertions_too(damaged_folder):
    code = f"""
from mmengine.registry import DefaultScope
from gaia_ssl.datasets import ImageFolder
with DefaultScope.overwrite_default_scope('mmpretrain'):
    images = ImageFolder({str(damaged_folder)!r}, pipeline=[dict(type='LoadImageFromFile')])
    print(*('img' in images[index] for index in range(len(images))))
"""
    run = tiny.run(sys.executable, '-O', '-c', code)
    assert run.returncode == 0 and set(run.stdout.split('\n')[-2].split()) == {'True'}, run.stderr


def test_a_replacement_brings_its_own_label(damaged_folder):
    dataset = ImageFolder(str(damaged_folder), with_label=True, pipeline=PLAIN)
    sample = dataset[len(dataset) - 1]['data_samples']  # b/7_text.jpg, the next readable one is a/0.jpg
    assert sample.img_path.endswith('a/0.jpg') and sample.gt_label.item() == 0


@pytest.mark.parametrize('loader', [dict(imdecode_backend='pillow'), dict(ignore_empty=True)])
def test_other_ways_of_loading(damaged_folder, loader):
    pipeline = [dict(type='LoadImageFromFile', **loader), dict(type='Resize', scale=8), dict(type='PackInputs')]
    samples = [ImageFolder(str(damaged_folder), pipeline=pipeline)[i] for i in range(11)]
    assert {path for s in samples for path in relative(s['data_samples'].unreadable, damaged_folder)} == set(DAMAGED)
    assert all(s['inputs'].shape == (3, 8, 8) for s in samples)


def test_without_packing_the_paths_are_in_the_dict(damaged_folder):
    sample = ImageFolder(str(damaged_folder), pipeline=PLAIN[:1])[1]
    assert relative(sample['unreadable'], damaged_folder) == ['a/00_truncated.jpg', 'a/0_zero_bytes.jpg']


def test_no_readable_image_is_a_user_error(tmp_path):
    for name in ('x.jpg', 'y.png'):
        (tmp_path / name).write_text('text')
    with pytest.raises(UserError, match=r'none of the 2 images in .*x\.jpg') as info:
        ImageFolder(str(tmp_path), pipeline=PLAIN)[0]
    assert '\n' not in str(info.value)


class Fails(BaseTransform):

    def transform(self, results):
        raise OSError('a bug in a transform')


class Drops(BaseTransform):

    def transform(self, results):
        return None


def test_errors_of_other_transforms_pass_through(folder):
    with pytest.raises(OSError, match='a bug in a transform'):
        ImageFolder(str(folder), pipeline=[*PLAIN[:1], Fails()])[0]
    with pytest.raises(RuntimeError, match='Drops returned no sample'):
        ImageFolder(str(folder), pipeline=[*PLAIN[:1], Drops()])[0]


def test_a_wrong_loader_setting_is_no_unreadable_image(folder):
    with pytest.raises(ValueError, match='not supported'):
        ImageFolder(str(folder), pipeline=[dict(type='LoadImageFromFile', imdecode_backend='no such')])[0]


@pytest.mark.parametrize('index', [7, -8, (0, 7)])
def test_an_index_beyond_the_data_is_an_index_error(folder, index):
    with pytest.raises(IndexError):
        ImageFolder(str(folder), pipeline=PLAIN)[index]


def test_moco_pipeline_with_default_collate(damaged_folder):
    dataset = moco_dataset(damaged_folder)
    batch = default_collate([dataset[i] for i in range(4)])
    assert [view.shape for view in batch['inputs']] == [(4, 3, 32, 32)] * 2
    assert not torch.equal(*batch['inputs'])
    assert isinstance(batch['data_samples'], list)
    assert [len(sample.unreadable) for sample in batch['data_samples']] == [0, 2, 1, 0]


class Draws(BaseTransform):
    """Adds a number of each generator."""

    def transform(self, results):
        results['draws'] = random.random(), float(np.random.rand()), float(torch.rand(1))
        return results


def test_a_seed_fixes_all_generators_and_leaves_the_global_ones(folder):
    dataset = ImageFolder(str(folder), pipeline=[*PLAIN[:1], Draws()])
    seed = 2**62 + 12345
    for module_seed in (random.seed, np.random.seed, torch.manual_seed):
        module_seed(1)
    before = random.getstate(), np.random.get_state()[1].copy(), torch.get_rng_state()
    first = dataset[seed, 0]['draws']
    assert random.getstate() == before[0]
    assert np.array_equal(np.random.get_state()[1], before[1])
    assert torch.equal(torch.get_rng_state(), before[2])
    dataset[0]
    assert dataset[seed, 0]['draws'] == first
    assert all(a != b for a, b in zip(dataset[seed + 1, 0]['draws'], first, strict=True))
    # torch takes 32 bits of a seed, Python and NumPy all of it
    assert all(a != b for a, b in zip(dataset[seed - 2**32, 0]['draws'][:2], first[:2], strict=True))


def test_the_global_generators_come_back_after_an_error(folder):
    dataset = ImageFolder(str(folder), pipeline=[*PLAIN[:1], Fails()])
    before = torch.get_rng_state(), random.getstate()
    with pytest.raises(OSError):
        dataset[3, 0]
    assert torch.equal(torch.get_rng_state(), before[0]) and random.getstate() == before[1]


def test_a_plain_index_draws_from_the_global_generators(folder):
    dataset = ImageFolder(str(folder), pipeline=[*PLAIN[:1], Draws()])
    assert dataset[0]['draws'] != dataset[0]['draws']


def epoch_of_batches(dataset, num_workers: int, epoch: int, seed: int = 3) -> list[dict]:
    sampler = SeededSampler(dataset, seed=seed)
    sampler.set_epoch(epoch)
    loader = DataLoader(dataset, 4, sampler=sampler, num_workers=num_workers, collate_fn=default_collate)
    return list(loader)


def test_workers_do_not_change_the_samples(damaged_folder):
    dataset = moco_dataset(damaged_folder)
    alone, workers = (epoch_of_batches(dataset, num_workers, epoch=1) for num_workers in (0, 2))
    assert len(alone) == 3
    for a, b in zip(alone, workers, strict=True):
        assert all(torch.equal(*views) for views in zip(a['inputs'], b['inputs'], strict=True))
        assert [s.unreadable for s in a['data_samples']] == [s.unreadable for s in b['data_samples']]


def test_epochs_and_seeds_change_the_views(folder):
    dataset = moco_dataset(folder)

    def view_of_first_image(epoch: int, seed: int) -> torch.Tensor:
        sampler = SeededSampler(dataset, seed=seed)
        sampler.set_epoch(epoch)
        return dataset[next(pair for pair in sampler if pair[1] == 0)]['inputs'][0]

    views = [view_of_first_image(epoch, seed) for epoch in range(2) for seed in range(2)]
    assert all(not torch.equal(a, b) for i, a in enumerate(views) for b in views[:i])


def test_runner_builds_the_loader_from_a_config(folder):
    cfg = dict(
        batch_size=3,
        num_workers=0,
        drop_last=True,
        sampler=dict(type='gaia_ssl.SeededSampler', shuffle=True),
        collate_fn=dict(type='default_collate'),
        dataset=dict(type='gaia_ssl.ImageFolder', data_root=str(folder), pipeline=MOCO))
    first, second = ([batch['inputs'][0] for batch in Runner.build_dataloader(cfg, seed=5)] for _ in range(2))
    assert len(first) == 2 and all(torch.equal(*pair) for pair in zip(first, second, strict=True))


@pytest.mark.skipif('GAIA_SSL_TEST_DATA' not in os.environ, reason='needs real images')
def test_real_images():
    dataset = moco_dataset(os.path.join(os.environ['GAIA_SSL_TEST_DATA'], 'imagenette', 'val'))
    batch = default_collate([dataset[index, index] for index in range(16)])
    assert batch['inputs'][0].shape == (16, 3, 32, 32)
    assert not any(sample.unreadable for sample in batch['data_samples'])
