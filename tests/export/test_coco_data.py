"""COCO's layout; each broken file ends in one line that names the place."""

import pytest

from gaia_ssl.export import prepare_task
from tests.downstream_data import coco, edit, read, refused

TASK = 'coco-mask-rcnn'


def test_coco(tmp_path):
    root = coco(tmp_path / 'coco', classes=('zebra', 'apple', 'cat'))
    edit(root / 'annotations' / 'instances_train2017.json',
         lambda content: content.update(annotations=[a for a in content['annotations'] if a['image_id'] != 1]))
    data = read(TASK, root)
    assert data.classes == ('zebra', 'apple', 'cat')  # in the file's order, which numbers them in mmdet
    assert (data.root, data.images, data.names, data.num_images) == (str(root), str(root / 'train2017'), None, 2)
    assert read(TASK, tmp_path) == data  # a folder that holds coco/


@pytest.mark.parametrize('change, message', [
    (lambda content: content['categories'].pop(), 'is of category 3, which the file does not list'),
    (lambda content: content['categories'][0].update(name='another'), 'its categories are not those of instances_train2017'),
    (lambda content: content['categories'].reverse(), 'its categories are not those of'),
    (lambda content: content['categories'][0].update(name='disc'), 'lists a category twice'),
    (lambda content: content.update(categories=[], annotations=[]), 'lists no category'),
    (lambda content: content['images'][0].update(file_name='absent.jpg'), '1 of the 2 images .* missing, first of all absent'),
    (lambda content: content['images'][0].pop('width'), 'an image has no id, height or width'),
    (lambda content: content['annotations'][1].pop('segmentation'), 'annotation 2 has a box and no mask'),
    (lambda content: content['annotations'][1].update(segmentation=[]), 'annotation 2 has a box and no mask'),
    (lambda content: content['annotations'][1].update(segmentation=[[]]), 'annotation 2 has a box and no mask'),
    (lambda content: content['annotations'][1].update(segmentation=[], area=0), 'annotation 2 has a box and no mask'),
    (lambda content: content['annotations'][1].pop('iscrowd'), 'annotation 2 has no iscrowd'),
    (lambda content: content['annotations'][1].update(id=1), 'annotation 1 is there twice'),
    (lambda content: content['annotations'].clear(), 'val2017.json: has no image with an object'),
    (lambda content: content['annotations'][0].pop('id'), "not COCO annotations .KeyError: 'id'"),
    (lambda content: content['images'][0].update(height=None), 'an image has no id, height or width'),
    (lambda content: content['annotations'][0].pop('area'), "not COCO annotations .KeyError: 'area'"),
    (lambda content: content['annotations'][0].pop('image_id'), "not COCO annotations .KeyError: 'image_id'"),
    (lambda content: content['annotations'][0].update(bbox=[1, 2]), 'not COCO annotations .ValueError'),
    (lambda content: content['categories'][0].pop('name'), "not COCO annotations .KeyError: 'name'"),
    (lambda content: content.pop('images'), "not COCO annotations .KeyError: 'images'"),
])
def test_broken_coco(tmp_path, change, message):
    root = coco(tmp_path)
    edit(root / 'annotations' / 'instances_val2017.json', change)
    refused(TASK, root, message)


def test_a_byte_order_mark_that_mmdet_would_not_read(tmp_path):
    path = coco(tmp_path / 'coco') / 'annotations' / 'instances_train2017.json'
    path.write_text('\ufeff' + path.read_text(), encoding='utf-8')
    refused(TASK, tmp_path / 'coco', 'begins with a byte order mark')


def test_boxes_without_masks(tmp_path):
    """Mask R-CNN takes none; Faster R-CNN is trained in its place, which a line says."""
    root, lines = coco(tmp_path), []
    for split in ('train', 'val'):
        edit(root / 'annotations' / f'instances_{split}2017.json',
             lambda content: [annotation.pop('segmentation') for annotation in content['annotations']])
    task = prepare_task(TASK, str(root), small=True, report=lines.append)
    assert (task.name, task.data.classes, task.data.num_images) == ('coco-faster-rcnn_small', ('box', 'disc'), 3)
    path = root / 'annotations' / 'instances_train2017.json'
    assert lines == [f'{path}: its annotations hold no masks: coco-faster-rcnn in the place of coco-mask-rcnn']
    assert read('coco-faster-rcnn', root) == task.data
    edit(path, lambda content: content['annotations'][0].pop('bbox'))
    refused('coco-faster-rcnn', root, "not COCO annotations .KeyError: 'bbox'")


def test_what_training_skips_needs_no_mask(tmp_path):
    root = coco(tmp_path)
    edit(root / 'annotations' / 'instances_train2017.json',
         lambda content: content['annotations'][0].update(area=0, segmentation=[]) or content['annotations'][1].pop('iscrowd'))
    assert read(TASK, root).num_images == 3


def test_coco_without_objects_or_files(tmp_path):
    root = coco(tmp_path)
    edit(root / 'annotations' / 'instances_train2017.json', lambda content: content.update(annotations=[]))
    refused(TASK, root, 'has no image with an object')
    (root / 'annotations' / 'instances_train2017.json').write_text('{"images": [')
    refused(TASK, root, 'instances_train2017.json: not COCO annotations .JSONDecodeError')
    (root / 'annotations' / 'instances_train2017.json').unlink()
    refused(TASK, root, 'instances_train2017.json: no such file')
