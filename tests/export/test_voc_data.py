"""VOC's layout; each broken file ends in one line that names the place."""

import pytest

from tests.downstream_data import read, refused, voc, write_xml

TASK = 'voc-faster-rcnn-c4'


def test_voc(tmp_path):
    root = voc(tmp_path / 'VOCdevkit')
    data = read(TASK, root)
    assert (data.classes, data.num_images, data.root) == (('cat', 'dog'), 6, str(root))
    assert data.images == str(root / 'VOC2007' / 'JPEGImages') and data.names == {'000', '001', '002'}  # no test image
    assert read(TASK, tmp_path) == data
    assert read(TASK, root, small=True).num_images == 3


def test_broken_voc(tmp_path):
    root = voc(tmp_path)
    folder = root / 'VOC2007'
    write_xml(folder / 'Annotations' / '100.xml', [('bird', 1, 1, 9, 9)])
    refused(TASK, root, "test.txt: its images have the class 'bird', which no training image has")
    xml = folder / 'Annotations' / '001.xml'
    for text, message in (('<annotation><size>', 'not an annotation .* .ParseError'),
                          ('<annotation><object/></annotation>', 'not an annotation .* no size/width'),
                          (xml.read_text().replace('<name>cat', '<name>'), 'not an annotation .* an object has no name'),
                          (xml.read_text().replace('t>0<', 't>Unspecified<'), 'not an annotation .* .ValueError'),
                          (xml.read_text().replace('<xmin>5', '<xmin>five'), 'not an annotation .* .ValueError'),
                          (xml.read_text().replace('<xmin>5', '<xmin>inf'), 'not an annotation .* .OverflowError'),
                          ('<?xml version="1.0" encoding="none"?><a/>', 'not an annotation .* .LookupError')):
        xml.write_text(text)
        refused(TASK, root, f'001.xml: {message}')
    xml.unlink()
    refused(TASK, root, '001.xml: no such file, which .*trainval.txt names')
    write_xml(xml, [])
    (folder / 'JPEGImages' / '002.jpg').unlink()
    refused(TASK, root, '002.jpg: no such file, which')
    (root / 'VOC2012' / 'ImageSets' / 'Main' / 'trainval.txt').unlink()
    voc(tmp_path, ['VOC2007'])
    refused(TASK, root, 'VOC2012/ImageSets/Main/trainval.txt: no such file; the small variant')
    for name in ('000', '001', '002'):
        write_xml(folder / 'Annotations' / f'{name}.xml', [])
    refused(TASK, root, 'trainval.txt: has no image with an object', small=True)
    (folder / 'ImageSets' / 'Main' / 'trainval.txt').write_bytes(b'000\n\xcf\n')
    refused(TASK, root, 'trainval.txt: not a text in UTF-8 .byte 4 is 0xcf', small=True)


def test_names_as_mmdet_reads_them(tmp_path):
    root = voc(tmp_path, ['VOC2007'])
    folder = root / 'VOC2007'
    for path in (folder / 'Annotations' / '001.xml', folder / 'JPEGImages' / '001.jpg'):
        path.rename(path.with_stem('image 1'))
    names = folder / 'ImageSets' / 'Main' / 'trainval.txt'
    names.write_text('000\nimage 1\n002\n')
    assert read(TASK, root, small=True).names == {'000', 'image 1', '002'}


@pytest.mark.parametrize('text, line', [('000\n001\n\n', 3), ('000 \n001\n', 1)])
def test_a_list_with_more_than_names(tmp_path, text, line):
    root = voc(tmp_path, ['VOC2007'])
    (root / 'VOC2007' / 'ImageSets' / 'Main' / 'trainval.txt').write_text(text)
    refused(TASK, root, f'trainval.txt: line {line} is empty or has spaces', small=True)
