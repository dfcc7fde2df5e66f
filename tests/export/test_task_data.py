"""Reading the user's data; each broken one ends in one line that names the place."""

import json
import os

import numpy as np
import pytest
from mmengine.config import Config
from PIL import Image

from gaia_ssl.errors import UserError
from gaia_ssl.export.downstream import downstream_config_path
from gaia_ssl.export.task_data import cityscapes_image_suffix, read_cityscapes, read_coco, read_voc
from tests import downstream_data


def config(task: str, small: bool = False) -> Config:
    return Config.fromfile(downstream_config_path(task, small))


def coco(folder):
    return read_coco(config('coco-mask-rcnn'), str(folder))


def voc(folder, small: bool = False):
    return read_voc(config('voc-faster-rcnn-c4', small), str(folder))


def cityscapes(folder):
    return read_cityscapes(config('cityscapes-fcn'), str(folder))


def refused(read, folder, message: str) -> None:
    with pytest.raises(UserError, match=message) as info:
        read(folder)
    assert '\n' not in str(info.value)


def edit(path, change) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def test_coco(tmp_path):
    root = downstream_data.coco(tmp_path / 'coco', classes=('zebra', 'apple', 'cat'))
    edit(root / 'annotations' / 'instances_train2017.json',
         lambda content: content.update(annotations=[a for a in content['annotations'] if a['image_id'] != 1]))
    data = coco(root)
    assert data.classes == ('zebra', 'apple', 'cat')  # in the file's order, which numbers them in mmdet
    assert (data.root, data.images, data.names, data.num_images) == (str(root), str(root / 'train2017'), None, 2)
    assert coco(tmp_path) == data  # a folder that holds coco/


def test_voc(tmp_path):
    root = downstream_data.voc(tmp_path / 'VOCdevkit')
    data = voc(root)
    assert (data.classes, data.num_images, data.root) == (('cat', 'dog'), 6, str(root))
    assert data.images == str(root / 'VOC2007' / 'JPEGImages') and data.names == {'000', '001', '002'}  # no test image
    assert voc(tmp_path) == data
    assert voc(root, small=True).num_images == 3


@pytest.mark.parametrize('suffix', ['.png', '.jpg'])
def test_cityscapes(tmp_path, suffix):
    root = downstream_data.cityscapes(tmp_path / 'cityscapes', suffix)
    data = cityscapes(root)
    assert len(data.classes) == 19 and data.num_images == 4 and data.images == str(root / 'leftImg8bit' / 'train')
    assert cityscapes(tmp_path) == data
    assert cityscapes_image_suffix(data.images) == f'_leftImg8bit{suffix}'


def test_the_classes_of_cityscapes_are_mmsegs():
    mmseg = pytest.importorskip('mmseg.datasets')
    from gaia_ssl.export.task_data import CITYSCAPES_CLASSES
    assert CITYSCAPES_CLASSES == mmseg.CityscapesDataset.METAINFO['classes']


@pytest.mark.skipif('GAIA_SSL_TEST_DATA' not in os.environ, reason='real data')
def test_real_data():
    folder = os.environ['GAIA_SSL_TEST_DATA']
    assert (len(coco(folder).classes), coco(folder).num_images) == (80, 63)  # one of 64 has no object
    data = voc(folder, small=True)
    assert (data.classes, data.num_images, len(data.names)) == (('Platelets', 'RBC', 'WBC'), 292, 292)
    assert cityscapes(folder).num_images == 92


@pytest.mark.parametrize('read', [coco, voc, cityscapes])
def test_a_folder_without_such_data(read, tmp_path):
    refused(read, tmp_path, 'no data of this task in it: neither .* is there')
    refused(read, tmp_path / 'nowhere', 'no data of this task')


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
    (lambda content: content['annotations'][0].pop('area'), "not COCO annotations .KeyError: 'area'"),
    (lambda content: content['annotations'][0].pop('image_id'), "not COCO annotations .KeyError: 'image_id'"),
    (lambda content: content['annotations'][0].update(bbox=[1, 2]), 'not COCO annotations .ValueError'),
    (lambda content: content['categories'][0].pop('name'), "not COCO annotations .KeyError: 'name'"),
    (lambda content: content.pop('images'), "not COCO annotations .KeyError: 'images'"),
])
def test_broken_coco(tmp_path, change, message):
    root = downstream_data.coco(tmp_path)
    edit(root / 'annotations' / 'instances_val2017.json', change)
    refused(coco, root, message)


def test_coco_without_objects_or_files(tmp_path):
    root = downstream_data.coco(tmp_path)
    edit(root / 'annotations' / 'instances_train2017.json', lambda content: content.update(annotations=[]))
    refused(coco, root, 'has no image with an object')
    (root / 'annotations' / 'instances_train2017.json').write_text('{"images": [')
    refused(coco, root, 'instances_train2017.json: not COCO annotations .JSONDecodeError')
    (root / 'annotations' / 'instances_train2017.json').unlink()
    refused(coco, root, 'instances_train2017.json: no such file')


def test_broken_voc(tmp_path):
    root = downstream_data.voc(tmp_path)
    folder = root / 'VOC2007'
    downstream_data.write_xml(folder / 'Annotations' / '100.xml', [('bird', 1, 1, 9, 9)])
    refused(voc, root, "test.txt: its images have the class 'bird', which no training image has")
    xml = folder / 'Annotations' / '001.xml'
    for text, message in (('<annotation><size>', 'not an annotation .* .ParseError'),
                          ('<annotation><object/></annotation>', 'not an annotation .* .AttributeError'),
                          (xml.read_text().replace('<xmin>5', '<xmin>five'), 'not an annotation .* .ValueError')):
        xml.write_text(text)
        refused(voc, root, f'001.xml: {message}')
    xml.unlink()
    refused(voc, root, '001.xml: no such file, which .*trainval.txt names')
    downstream_data.write_xml(xml, [])
    (folder / 'JPEGImages' / '002.jpg').unlink()
    refused(voc, root, '002.jpg: no such file, which')
    (root / 'VOC2012' / 'ImageSets' / 'Main' / 'trainval.txt').unlink()
    downstream_data.voc(tmp_path, ['VOC2007'])
    refused(voc, root, 'VOC2012/ImageSets/Main/trainval.txt: no such file; the small variant')
    for name in ('000', '001', '002'):
        downstream_data.write_xml(folder / 'Annotations' / f'{name}.xml', [])
    with pytest.raises(UserError, match='trainval.txt: has no image with an object'):
        voc(root, small=True)


def test_broken_cityscapes(tmp_path):
    root = downstream_data.cityscapes(tmp_path)
    label = root / 'gtFine' / 'val' / 'town' / '001_gtFine_labelTrainIds.png'
    whole = label.read_bytes()
    Image.fromarray(np.full((48, 64), 33, dtype=np.uint8)).save(label)  # ids, not train ids
    refused(cityscapes, root, 'has the label 33, which is no class; give train ids')
    label.write_bytes(whole[:40])
    refused(cityscapes, root, '001_gtFine_labelTrainIds.png: cannot be read')
    label.unlink()
    refused(cityscapes, root, '001_gtFine_labelTrainIds.png: no such file; cityscapesScripts')
    (root / 'leftImg8bit' / 'train' / 'town' / '009_leftImg8bit.jpg').touch()
    refused(cityscapes, root, 'holds images of several formats')
    for path in (root / 'leftImg8bit' / 'train').rglob('*.*'):
        path.unlink()
    refused(cityscapes, root, 'holds no image')
