"""Words of --cfg-options."""

import argparse

import pytest

from gaia_ssl import cli
from gaia_ssl.errors import UserError


def options(*words) -> dict:
    parser = argparse.ArgumentParser()
    cli.add_config_arguments(parser)
    return parser.parse_args(['--cfg-options', *words]).cfg_options


@pytest.mark.parametrize('word, value', [
    ('a=1', 1), ('a=1,2', [1, 2]), ('a=[c2-c5, z]', ['c2-c5', 'z']), ('a=[(1, 2), "x"]', [(1, 2), 'x']),
    ('a=0.1, 0.2', [0.1, 0.2]),
    ('a.data_root=data/my-images', 'data/my-images'), ("load_from='x/y.pth'", 'x/y.pth'), ('load_from=None', None),
    ('a=[x/y, z]', ['x/y', 'z']), ('a=2024', 2024), ('a=True', True), ('a=', ''),
    ('a.checkpoint=torchvision://resnet50', 'torchvision://resnet50'),
])
def test_options_are_what_mmengine_reads(word, value):
    assert list(options(word).values()) == [value]


@pytest.mark.parametrize('word', [
    'a.data_root=my images', 'a=photos/my images', 'a=two words', 'a=[my images, others]', "a=['my images']",
    'a.data_root=photos, 2023', 'a.data_root=x,y', 'a=photos/2023,05', 'a=pic,tures', 'a.data_root=2024', 'work_dir=1e5',
    'a.checkpoint=[x].pth,y', 'load_from=true', 'a=[(1,2]', "a.ann_file='a b'",
])
def test_options_that_mmengine_would_read_as_something_else(word, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'pic,tures').mkdir()
    with pytest.raises(UserError, match='^[^\n]*mmengine (would read|reads)') as caught:
        options(word)
    assert str(caught.value).startswith(f'--cfg-options {word}: ')
