import pandas as pd
import pytest
from matplotlib import image as images

from gaia_ssl.errors import UserError
from gaia_ssl.evaluation.judge_history import JudgeHistory
from tests import tiny


def rows(epoch: int, **measures: float) -> list[dict]:
    archs = dict(max=str(tiny.SPACE.max), min=str(tiny.SPACE.min))
    return [dict(epoch=epoch, iter=10 * epoch, subnet=name, arch=arch, **measures) for name, arch in archs.items()]


@pytest.fixture
def path(tmp_path):
    history = JudgeHistory(tmp_path / 'new' / 'subnets.csv')
    for epoch in range(4):
        history.add(rows(epoch, rankme=1 / 3 + epoch, std=0.1 * epoch))
    return history.path


def test_a_row_a_subnet_each_time(path):
    table = pd.read_csv(path, float_precision='round_trip')
    assert list(table.columns) == ['epoch', 'iter', 'subnet', 'arch', 'knn', 'rankme', 'std']
    assert table['epoch'].tolist() == [0, 0, 1, 1, 2, 2, 3, 3] and table['iter'].tolist() == [0, 0, 10, 10, 20, 20, 30, 30]
    assert table['subnet'].tolist() == ['max', 'min'] * 4 and table['arch'][1] == str(tiny.SPACE.min)
    assert table['knn'].isna().all() and table['rankme'].tolist() == [1 / 3 + epoch for epoch in table['epoch']]
    assert [file.name for file in path.parent.iterdir()] == ['subnets.csv']


def test_going_on_from_an_iteration(path):
    whole = path.read_bytes()
    history = JudgeHistory(path, until=20)
    assert [history.has(iteration) for iteration in (0, 10, 20, 30)] == [True, True, True, False]
    history.add(rows(3, rankme=1 / 3 + 3, std=0.1 * 3))
    assert path.read_bytes() == whole


def test_a_training_from_its_beginning_starts_anew(path):
    history = JudgeHistory(path)
    assert not history.has(0)
    history.add(rows(0, std=0.5))
    assert len(pd.read_csv(path)) == 2


@pytest.mark.parametrize('content', [b'', b'epoch,iter\n1,2\n', b'a,"b\n1', b'\xff\xfe\x00\x81',
                                     b'epoch,iter,subnet,arch,knn,rankme,std\n0,x,max,a,,1,1\n'])
def test_another_file_is_refused(path, content):
    path.write_bytes(content)
    with pytest.raises(UserError, match=r'subnets\.csv: not a history .* move it away') as info:
        JudgeHistory(path, until=20)
    assert '\n' not in str(info.value)
    JudgeHistory(path)  # which nothing of it is needed for


def test_a_crash_while_writing_leaves_the_earlier_table(path, monkeypatch):
    whole, history = path.read_bytes(), JudgeHistory(path, until=30)

    def half(table, file, **kwargs):
        file.write_text('epoch,it')
        raise OSError('No space left on device')

    monkeypatch.setattr(pd.DataFrame, 'to_csv', half)
    with pytest.raises(OSError, match='No space left'):
        history.add(rows(4, std=1))
    assert path.read_bytes() == whole and [file.name for file in path.parent.iterdir()] == ['subnets.csv']


def test_the_picture_has_a_panel_a_measure_that_there_is(path):
    history = JudgeHistory(path, until=30)
    history.plot()
    two = images.imread(path.with_suffix('.png'))
    history.add(rows(4, knn=0.4, rankme=float('nan'), std=0.3))
    history.plot('iter')
    three = images.imread(path.with_suffix('.png'))
    assert three.shape[1] * 2 == two.shape[1] * 3
    assert sorted(file.name for file in path.parent.iterdir()) == ['subnets.csv', 'subnets.png']


def test_a_picture_of_nothing_finite(tmp_path):
    history = JudgeHistory(tmp_path / 'subnets.csv')
    history.add(rows(0, knn=float('nan'), rankme=float('nan'), std=float('nan')))
    history.plot()
    assert (tmp_path / 'subnets.png').stat().st_size > 0
