import pytest

from gaia_ssl.errors import UserError
from gaia_ssl.evaluation.arch_table import read_arch_table, read_scores
from tests import tiny

A, B = str(tiny.SPACE[0]), str(tiny.SPACE[1])


@pytest.fixture
def write(tmp_path):
    def call(text: str | bytes):
        path = tmp_path / 'scores.csv'
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return call


def test_other_columns_are_ignored(write):
    path = write(f'notes,score, arch\n"a, b", 0.5,{A}\n,1e-1, {B} \n')
    table = read_scores(path, tiny.SPACE)
    assert table.to_dict('list') == dict(arch=[A, B], score=[0.5, 0.1])


def test_texts_and_optional_numbers(write):
    path = write(f'arch,group,flops,z\n{A},,1,2\n{B},NA,3,4\n')
    table = read_arch_table(path, ['flops'], ['group'], optional=['c5', 'z'])
    assert table.to_dict('list') == dict(arch=[A, B], group=['', 'NA'], flops=[1, 3], z=[2, 4])


@pytest.mark.parametrize('text, message', [
    ('', 'not a CSV file'),
    (b'\xff\xfe\x00', 'not a CSV file'),
    (f'arch,score\n"{A}', 'not a CSV file'),
    (f'arch,map\n{A},1\n', "has no column 'score', but arch, map"),
    ('subnet,score\nx,1\n', "has no column 'arch'"),
    ('arch,score\n', 'has no rows'),
    (f'arch,score\n{A},1\nresnet50,2\n', "line 3: 'resnet50' is not an arch"),
    (f'arch,score\n{A},1\n{A},2\n', 'line 3: .* is there twice'),
    (f'arch,score\n{A},1\n{B},nan\n', f"line 3: the score of {B} is 'nan'; give a finite number"),
    (f'arch,score\n{A},\n', 'line 2: .*finite'),
    (f'arch,score\n{A},inf\n', 'line 2: .*finite'),
    (f'arch,score\n{A},good\n', 'line 2: .*finite'),
    (f'arch,score\n{A},2\n{B},2.0\n', 'all 2 scores are 2, so that no correlation is defined'),
    ('arch,score\n64-64x3-128x4-256x6-512x3,2\n', 'is not one of the 32 archs of the space'),
])
def test_bad_files(write, text, message):
    with pytest.raises(UserError, match=message) as info:
        read_scores(write(text), tiny.SPACE)
    assert '\n' not in str(info.value) and 'scores.csv' in str(info.value)


def test_files_that_are_none(tmp_path):
    for path in (tmp_path / 'nothing.csv', tmp_path):
        with pytest.raises(UserError, match='cannot be read'):
            read_scores(path)
