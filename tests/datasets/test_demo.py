import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.registry import DATASETS

from gaia_ssl.datasets import ImageFolder, demo
from gaia_ssl.datasets.demo import DEMO_CLASSES, generate_demo_data
from gaia_ssl.datasets.demo_scene import render_scene
from gaia_ssl.errors import UserError

SMALL = dict(num_train=12, num_val=4, size=96, seed=0)


@pytest.fixture(scope='module')
def data(tmp_path_factory) -> Path:
    return generate_demo_data(tmp_path_factory.mktemp('demo') / 'data', **SMALL)


def contents(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob('*')) if path.is_file()}


def annotations(root: Path, split: str = 'train') -> dict:
    return json.loads((root / 'annotations' / f'instances_{split}2017.json').read_text())


def test_five_classes():
    assert DEMO_CLASSES == ('disc', 'square', 'triangle', 'star', 'ring')


def test_layout(data):
    for split, count in (('train', 12), ('val', 4)):
        files = sorted(path.name for path in (data / f'{split}2017').iterdir())
        images = annotations(data, split)['images']
        assert [image['file_name'] for image in images] == files and len(files) == count
        for image in images:
            pixels = cv2.imread(str(data / f'{split}2017' / image['file_name']))
            assert pixels.shape == (96, 96, 3) == (image['height'], image['width'], 3)
    assert [c['name'] for c in annotations(data)['categories']] == list(DEMO_CLASSES)
    assert sorted(path.name for path in data.parent.iterdir()) == ['data']


def test_same_seed_same_bytes(data, tmp_path):
    assert contents(generate_demo_data(tmp_path / 'again', **SMALL)) == contents(data)


def test_other_seeds_splits_and_indices_give_other_images(data, tmp_path):
    other = generate_demo_data(tmp_path / 'other', **{**SMALL, 'seed': 1})
    pictures = [value for root in (data, other) for name, value in contents(root).items() if name.endswith('.jpg')]
    assert len(set(pictures)) == len(pictures) == 32


def test_a_smaller_set_is_the_start_of_a_larger_one(data, tmp_path):
    smaller = contents(generate_demo_data(tmp_path / 'smaller', **{**SMALL, 'num_train': 3}))
    larger = contents(data)
    assert all(larger[name] == value for name, value in smaller.items() if name.endswith('.jpg'))


def test_complete_data_are_kept(data, monkeypatch):
    monkeypatch.setattr(demo, 'render_scene', lambda *_: pytest.fail('rendered again'))
    before = contents(data)
    assert generate_demo_data(str(data), **SMALL) == data
    assert contents(data) == before


@pytest.mark.parametrize('change', [dict(num_train=13), dict(num_val=5), dict(size=64), dict(seed=2)])
def test_data_of_other_settings_are_not_overwritten(data, change):
    before = contents(data)
    with pytest.raises(UserError, match='choose another folder'):
        generate_demo_data(data, **{**SMALL, **change})
    assert contents(data) == before


def test_a_foreign_folder_is_not_overwritten(tmp_path):
    (tmp_path / 'mine.txt').write_text('precious')
    with pytest.raises(UserError, match='no demo data'):
        generate_demo_data(tmp_path, **SMALL)
    assert contents(tmp_path) == {'mine.txt': b'precious'}


def test_an_interrupted_run_leaves_nothing(tmp_path, monkeypatch):
    count = 0

    def interrupted(rng, size):
        nonlocal count
        count += 1
        if count == 5:
            raise KeyboardInterrupt
        return render_scene(rng, size)

    monkeypatch.setattr(demo, 'render_scene', interrupted)
    with pytest.raises(KeyboardInterrupt):
        generate_demo_data(tmp_path / 'data', **SMALL)
    assert list(tmp_path.iterdir()) == []
    monkeypatch.undo()
    (tmp_path / 'data').mkdir()  # an empty folder is no obstacle
    assert len(contents(generate_demo_data(tmp_path / 'data', **SMALL))) == 12 + 4 + 2 + 1


@pytest.mark.parametrize('change', [dict(num_train=0), dict(num_val=0), dict(size=31), dict(seed=-1)])
def test_settings_out_of_range_are_user_errors(tmp_path, change):
    with pytest.raises(UserError, match='give at least'):
        generate_demo_data(tmp_path / 'data', **{**SMALL, **change})
    assert not (tmp_path / 'data').exists()


def test_every_image_has_an_object(data):
    found = annotations(data)
    assert {obj['image_id'] for obj in found['annotations']} == {image['id'] for image in found['images']}
    assert {obj['iscrowd'] for obj in found['annotations']} == {0}
    assert [obj['id'] for obj in found['annotations']] == list(range(1, len(found['annotations']) + 1))


def test_polygons_boxes_and_areas_agree():
    mask_tools = pytest.importorskip('pycocotools.mask')
    for seed in range(40):
        for obj in render_scene(np.random.default_rng(seed), 96)[1]:
            x, y, width, height = obj.bbox
            assert x >= 0 and y >= 0 and x + width <= 96 and y + height <= 96
            assert min(width, height) >= 0.15 * 96
            mask = mask_tools.decode(mask_tools.merge(mask_tools.frPyObjects(obj.polygons, 96, 96)))
            assert mask.sum() == pytest.approx(obj.area, rel=0.08)
            rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
            drawn = [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]
            assert drawn == pytest.approx([x, y, x + width, y + height], abs=2.5)


def test_visible_masks_do_not_overlap(data):
    mask_tools = pytest.importorskip('pycocotools.mask')
    found = annotations(data)
    for image in found['images']:
        masks = [mask_tools.decode(mask_tools.merge(mask_tools.frPyObjects(obj['segmentation'], 96, 96)))
                 for obj in found['annotations'] if obj['image_id'] == image['id']]
        total = np.sum(masks, axis=0, dtype=int)
        assert (total > 1).sum() <= 0.03 * total.sum()


def test_a_ring_has_a_hole():
    mask_tools = pytest.importorskip('pycocotools.mask')
    for seed in range(30):
        for obj in render_scene(np.random.default_rng(seed), 96)[1]:
            x, y, width, height = obj.bbox
            if obj.shape == 'ring' and min(x, y) > 2 and max(x + width, y + height) < 94:
                mask = mask_tools.decode(mask_tools.merge(mask_tools.frPyObjects(obj.polygons, 96, 96)))
                assert mask[int(y + height / 2), int(x + width / 2)] == 0
                return
    pytest.fail('no ring in 30 scenes')


def test_objects_stand_out_of_the_background():
    contrasts = []
    for seed in range(10):
        image, objects = render_scene(np.random.default_rng(seed), 96)
        saturation = cv2.cvtColor(image, cv2.COLOR_BGR2HSV)[..., 1].astype(float)
        inside = np.zeros((96, 96), bool)
        for obj in objects:
            x, y, width, height = (int(v) for v in obj.bbox)
            inside[y:y + height, x:x + width] = True
        contrasts.append(saturation[inside].mean() - saturation[~inside].mean())
    assert np.mean(contrasts) > 30


def test_mmdet_reads_and_scores_it(data):
    pytest.importorskip('mmdet')
    from mmdet.evaluation import CocoMetric
    from mmdet.utils import register_all_modules
    register_all_modules(init_default_scope=False)
    dataset = DATASETS.build(
        dict(
            type='mmdet.CocoDataset',
            data_root=str(data),
            ann_file='annotations/instances_train2017.json',
            data_prefix=dict(img='train2017/'),
            metainfo=dict(classes=DEMO_CLASSES),
            pipeline=[dict(type='mmdet.LoadImageFromFile'), dict(type='mmdet.LoadAnnotations', with_mask=True)]))
    found = annotations(data)
    assert len(dataset) == 12
    metric = CocoMetric(ann_file=str(data / 'annotations/instances_train2017.json'), metric='bbox')
    metric.dataset_meta = dataset.metainfo
    for i in range(12):
        sample = dataset[i]
        objects = [obj for obj in found['annotations'] if obj['image_id'] == sample['img_id']]
        assert sample['gt_bboxes_labels'].tolist() == [obj['category_id'] - 1 for obj in objects]
        assert len(sample['gt_masks']) == len(objects)
        metric.process({}, [
            dict(
                img_id=sample['img_id'],
                ori_shape=(96, 96),
                pred_instances=dict(
                    bboxes=sample['gt_bboxes'].tensor,
                    labels=torch.from_numpy(sample['gt_bboxes_labels']),
                    scores=torch.ones(len(objects))))
        ])
    assert metric.evaluate(12)['coco/bbox_mAP'] == pytest.approx(1, abs=0.001)


def test_it_is_an_unlabelled_folder_too(data):
    pipeline = [dict(type='LoadImageFromFile'), dict(type='PackInputs')]
    dataset = ImageFolder(str(data), data_prefix='train2017', pipeline=pipeline)
    assert len(dataset) == 12 and dataset[0]['inputs'].shape == (3, 96, 96)


def test_command_line(data, tmp_path):
    tool = Path(__file__).parents[2] / 'tools' / 'make_demo_data.py'
    flags = ['--train', '12', '--val', '4', '--size', '96', '--seed', '0']
    command = [sys.executable, str(tool), str(tmp_path / 'data'), *flags]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == str(tmp_path / 'data')
    assert contents(tmp_path / 'data') == contents(data)
    refused = subprocess.run([*command, '--seed', '1'], capture_output=True, text=True)
    assert refused.returncode != 0
    assert refused.stderr.splitlines()[-1].startswith('error: ') and 'Traceback' not in refused.stderr
