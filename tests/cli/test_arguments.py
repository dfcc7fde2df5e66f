"""Arguments that several tools take."""

import argparse

import pytest
from mmengine.config import Config

from gaia_ssl import cli
from gaia_ssl.errors import UserError


def test_which_files(tmp_path):
    parser = argparse.ArgumentParser()
    cli.add_files_arguments(parser)
    (tmp_path / 'my list, 1').touch()
    arguments = parser.parse_args(['--exclude', '*.png', '--exclude', 'masks/*', '--list', f'{tmp_path}/my list, 1'])
    config = Config(dict(train_dataloader=dict(dataset=dict(data_root='x', include=['*.jpg']))))
    cli.set_files(config, 'train_dataloader', cli.file_choice(arguments))
    assert config.train_dataloader.dataset == dict(data_root='x', include=['*.jpg'], exclude=['*.png', 'masks/*'],
                                                   ann_file=f'{tmp_path}/my list, 1')
    cli.set_files(config, 'nothing', cli.file_choice(parser.parse_args([])))
    with pytest.raises(UserError, match="--exclude '[*].png'.*: the config has no test_dataloader"):
        cli.set_files(config, 'test_dataloader', cli.file_choice(arguments))
    with pytest.raises(UserError, match='--list nowhere: no such file'):
        cli.file_choice(parser.parse_args(['--list', 'nowhere']))


def test_a_byte_order_mark_before_the_archs(tmp_path):
    (tmp_path / 'archs.txt').write_text('\ufeff8-8x2-8x1-16x2-16x1\n', encoding='utf-8')
    assert cli.read_archs(str(tmp_path / 'archs.txt')) == ['8-8x2-8x1-16x2-16x1']
