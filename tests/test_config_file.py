"""Configs that hold what a user's data can bring: they load as what they are, or are refused, and run nothing."""

import os
import pathlib

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from mmengine.config import Config
from mmengine.runner import Runner

from gaia_ssl.config_file import check_config, check_text, write_config
from gaia_ssl.errors import UserError
from tests import tiny

FUZZ = settings(deadline=None, derandomize=True, max_examples=30, database=None)
CODE = '__import__("pathlib").Path("{canary}").touch()'
ATTACKS = [
    r"{{$V:x|\',%s,#}}", '{{ fileDirname }}', "{{'$V:%s'}}", '{{$HOME:}}', '{{_base_.model}}', '{{', '"""+%s+"""', "'+%s+'",
    "\\'+%s+'", "'\n%s\n'", '\r%s', '}}', '{ {%s} }', '\\x7b\\x7b$V:%s\\x7d\\x7d', '\\N{LEFT CURLY BRACKET}{$V:%s}}', '\x00%s',
    '\ud800', 'x' * 3000, '# yapf: disable', '# -*- coding: utf-7 -*-', '_delete_', '\u2028%s', '\ufeff%s', 'é漢字🙂',
]
PIECES = ['{{', '}}', '{', '}', '$', ':', "'", '"', '"""', '\\', '\n', '\r', '\t', '#', '|', '`', ' ', 'fileDirname', '_base_',
          '.', '%s', ',', '(', ')', '+', 'a', 'N', 'x', 'é', '\u2028', '\x00', '\udcff']
TEXTS = st.one_of(st.sampled_from(ATTACKS), st.lists(st.sampled_from(PIECES), max_size=30).map(''.join),
                  st.text(alphabet=st.characters(), max_size=100))


def config_of(*texts: str) -> Config:
    """Texts where a downstream config has them: classes, folders and suffixes."""
    return Config(dict(dataset=dict(data_root=texts[0], metainfo=dict(classes=tuple(texts)), names=[list(texts)], scale=0.1)))


def attempt(folder: pathlib.Path, texts: list[str]) -> bool:
    """Whether a config with ``texts`` was written; it is then read as mmengine does, and again from what it dumps."""
    canary, path = folder / 'canary', folder / 'config.py'
    texts = [text.replace('%s', CODE.format(canary=canary)) for text in texts]
    path.unlink(missing_ok=True)
    config = config_of(*texts)
    try:
        write_config(config, path)
    except UserError as error:
        assert '{{' in str(error) and not path.exists()
        assert any('{{' in text for text in texts)
        return False
    again = Config.fromfile(path)
    assert again.to_dict() == config.to_dict()
    assert Config.fromstring(again.pretty_text, '.py').to_dict() == config.to_dict()  # as every Runner dumps it
    assert not canary.exists()
    return True


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp('configs')


@pytest.mark.parametrize('text', ATTACKS)
def test_attacks_are_refused_or_data(folder, text):
    assert attempt(folder, [text, 'b']) == ('{{' not in text)


@FUZZ
@given(texts=st.lists(TEXTS, min_size=1, max_size=4))
@example(texts=['{', '{'])
@example(texts=['{', '$V:%s}}'])
def test_every_text_is_refused_or_data(folder, texts):
    attempt(folder, texts)


def test_the_attack_works_on_mmengine_alone(tmp_path):
    """So that the tests above would see it."""
    canary = tmp_path / 'canary'
    text = ATTACKS[0].replace('%s', CODE.format(canary=canary))
    config_of('a', text, 'b').dump(tmp_path / 'config.py')
    Config.fromfile(tmp_path / 'config.py')
    assert canary.exists()


@FUZZ
@given(name=st.one_of(st.sampled_from(ATTACKS), st.lists(st.sampled_from(PIECES), max_size=12).map(''.join)))
def test_a_folder_of_any_name(folder, name):
    """What lies beside the config is found there, even if the folder takes a name that no config could hold."""
    home, canary = folder / 'export', folder / 'canary'
    home.mkdir(exist_ok=True)
    backbone = dict(type='x', init_cfg=dict(type='Pretrained', checkpoint=str(home / 'backbone.pth')))
    config = Config(dict(model=dict(backbone=backbone, classes=(str(home / 'backbone.pth'), 'b'))))
    write_config(config, home / 'config.py', beside=home / 'backbone.pth')
    assert Config.fromfile(home / 'config.py').to_dict() == config.to_dict()
    name = name.replace('%s', CODE.format(canary='canary')).replace('/', '').replace('\0', '')[:80].strip('.')
    moved = folder / f'moved{name}'
    home.rename(moved)
    try:
        read = Config.fromfile(moved / 'config.py')
        assert read.model.backbone.init_cfg.checkpoint == str(moved / 'backbone.pth')
        assert read.model.classes[0] == str(home / 'backbone.pth') and read.keys() == {'model'}
    finally:
        moved.rename(home)
    assert not canary.exists() and not os.path.exists('canary')


@pytest.mark.parametrize('value', [float('nan'), float('inf'), pathlib.Path('print'), b'a', {1, 2}, print, 1j, object()])
def test_what_is_no_value_of_a_config(tmp_path, value):
    with pytest.raises(UserError, match='config.py: '):
        write_config(Config(dict(a=[value])), tmp_path / 'config.py')
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize('key', ["a': print(1), 'b", '{{x', 'a\nb', '\\'])
def test_names_of_settings(tmp_path, key):
    with pytest.raises(UserError, match='has a setting called'):
        write_config(Config(dict(a={key: 1})), tmp_path / 'config.py')
    assert not list(tmp_path.iterdir())


def test_an_earlier_file_stays_where_the_new_one_is_refused(tmp_path):
    (tmp_path / 'config.py').write_text('a = 1')
    with pytest.raises(UserError):
        write_config(Config(dict(a='{{$V:1}}')), tmp_path / 'config.py')
    assert [path.read_text() for path in tmp_path.iterdir()] == ['a = 1']


def test_the_error_says_where_and_what():
    with pytest.raises(UserError, match=r"^config\.a\.b has '\{\{' in it, .*; rename it: x\{\{\\n\\x1b$"):
        check_config(Config(dict(a=dict(b=[1, 'x{{\n\x1b']))))
    with pytest.raises(UserError, match=r'^a class .*…$'):
        check_text('{{' + 'x' * 9999, 'a class')
    check_text('}} { {', 'a class')


def test_the_projects_own_configs_can_be_written(tmp_path):
    for name in ('downstream/imagenet-linear', 'search/c2-c5_coco'):
        config = Config.fromfile(tiny.ROOT / 'configs' / f'{name}.py')
        write_config(config, tmp_path / 'config.py')
        assert Config.fromfile(tmp_path / 'config.py').to_dict() == config.to_dict()


def test_the_runner_is_started_in_one_place_alone():
    """There the values are checked that it writes into the work dir."""
    starts = [path for folder in ('gaia_ssl', 'tools') for path in (tiny.ROOT / folder).rglob('*.py')
              if f'{Runner.__name__}.from_cfg' in path.read_text() or '.dump(temporary' in path.read_text()]
    assert [path.name for path in starts] == ['build_runner.py']
