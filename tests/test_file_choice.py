import shlex

import pytest

from gaia_ssl.errors import UserError
from gaia_ssl.file_choice import FileChoice


@pytest.mark.parametrize('include, exclude, taken', [
    ((), (), ['x.jpg', 'x.png', 'a/Masks/x.JPG', 'a/masks/deep/y.jpg', 'amasks/z.jpg']),
    (('*.jpg', ), (), ['x.jpg', 'a/Masks/x.JPG', 'a/masks/deep/y.jpg', 'amasks/z.jpg']),
    ((), ('*.png', 'masks/*'), ['x.jpg', 'amasks/z.jpg']),
    (('x.*', ), ('*.png', ), ['x.jpg', 'a/Masks/x.JPG']),
    (('a/*', ), (), ['a/Masks/x.JPG', 'a/masks/deep/y.jpg']),
    (('[yz].jpg', ), ('a/*', ), ['amasks/z.jpg']),
])
def test_patterns(include, exclude, taken):
    choice = FileChoice(include, exclude)
    assert [path for path in ('x.jpg', 'x.png', 'a/Masks/x.JPG', 'a/masks/deep/y.jpg', 'amasks/z.jpg')
            if choice.takes(path)] == taken


def test_in_words_and_in_plain_values():
    choice = FileChoice(('*.jpg', ), ('my masks/*', ), '/a/list.txt')
    assert shlex.split(str(choice)) == choice.options() == [
        '--include', '*.jpg', '--exclude', 'my masks/*', '--list', '/a/list.txt']
    assert FileChoice.of(choice.arguments()) == choice and choice
    assert not FileChoice.of(None) and FileChoice().arguments() == {} and str(FileChoice()) == 'all images'
    assert FileChoice.of(dict(exclude='*.png')) == FileChoice(exclude=('*.png', ))


@pytest.mark.parametrize('value', [5, [''], [None], dict(a='*.png')])
def test_what_is_no_pattern(value):
    with pytest.raises(UserError, match='exclude is .*; give patterns of file names'):
        FileChoice.of(dict(exclude=value))
