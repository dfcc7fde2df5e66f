"""tools/measure_latency.py as a user runs it."""

import json

import pytest
import torch

from gaia_ssl import cli
from gaia_ssl.space import LatencyTable
from gaia_ssl.space.latency import blocks_of_space
from tests import tiny


@pytest.fixture
def config(tmp_path):
    return tiny.write_config(tmp_path / 'tiny.py', tmp_path / 'no_images')


@pytest.fixture
def error(monkeypatch, capfd):
    """``error(*arguments)`` runs the tool in this process; the one line of its error."""
    def call(*arguments: object) -> str:
        monkeypatch.setattr('sys.argv', ['tools/measure_latency.py', *map(str, arguments)])
        capfd.readouterr()
        with pytest.raises(SystemExit) as info:
            cli.run(tiny.load_tool('measure_latency').main)
        lines = capfd.readouterr().err.splitlines()
        assert info.value.code == 1 and len(lines) == 1 and lines[0].startswith('error: '), lines
        return lines[0]

    monkeypatch.setenv('TORCH_FORCE_WEIGHTS_ONLY_LOAD', '1')  # which a tool sets, so that it is put back
    return call


@pytest.mark.slow
def test_a_table_from_the_command_line(tmp_path, config):
    out = tmp_path / 'new' / 'table.json'
    command = ('measure_latency.py', out, '--config', config, '--resolution', 32, '--threads', 1, '--repeats', 1)
    result = tiny.run_tool(*command, '--batch-size', 2, '--dtype', 'bfloat16', '--check', 4)
    assert result.returncode == 0 and result.stderr == '', result.stderr
    assert 'rank correlation' in result.stdout and f'{out}\n' in result.stdout
    table = LatencyTable.load(out)
    assert table.space == tiny.SPACE and list(table.milliseconds) == blocks_of_space(tiny.SPACE)
    told = table.provenance
    assert (told['stem_kernel'], told['batch_size'], told['dtype'], told['threads']) == (3, 2, 'bfloat16', 1)
    assert told['check']['num_archs'] == 4 and told['check']['max_abs_error'] >= 0

    before = out.read_bytes()
    result = tiny.run_tool(*command)
    assert result.returncode == 1 and result.stdout == '' and out.read_bytes() == before
    assert result.stderr == f'error: {out} exists already; replace it with --overwrite, or choose another file\n'
    result = tiny.run_tool(*command, '--overwrite', '--check', 0)
    assert result.returncode == 0 and 'rank correlation' not in result.stdout
    assert 'check' not in json.loads(out.read_text())['provenance']


def test_bad_values_are_errors_of_one_line(tmp_path, config, error, monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    out = tmp_path / 'table.json'
    for flag, value, message in (('--device', 'cuda', 'no GPU'), ('--resolution', 0, 'resolution is 0'),
                                 ('--threads', 0, 'threads is 0'), ('--batch-size', -1, 'batch_size is -1'),
                                 ('--repeats', 0, 'repeats is 0'), ('--check', -1, 'check is -1'),
                                 ('--dtype', 'float16', "dtype is 'float16'")):
        assert message in error(out, '--config', config, flag, value)
    assert not out.exists()


def test_bad_paths_are_errors_of_one_line(tmp_path, config, error):
    assert 'is a folder' in error(tmp_path, '--config', config, '--overwrite')
    (tmp_path / 'file').write_text('')
    assert 'cannot be written there' in error(tmp_path / 'file' / 'table.json', '--config', config)
    assert 'no such config file' in error(tmp_path / 'table.json', '--config', tmp_path / 'nothing.py')
    for name, text, message in (('broken', 'model = dict(', 'not a config'), ('empty', '', 'no model.backbone.space'),
                                ('none', "model = dict(backbone=dict(type='ResNet'))", 'no model.backbone.space'),
                                ('odd', 'model = dict(backbone=dict(space=dict(stem=[4])))', 'give stem, widths and depths'),
                                ('auto', "model = dict(backbone=dict(space='auto'))", 'say --start FILE'),
                                ('bad', f'model = dict(backbone=dict(space={dict(tiny.SPACE.to_dict(), stem=[])}))',
                                 'the space offers no stem')):
        (tmp_path / f'{name}.py').write_text(text)
        assert message in error(tmp_path / 'table.json', '--config', tmp_path / f'{name}.py')
