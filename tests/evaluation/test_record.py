import json
import statistics

import pytest

from gaia_ssl.errors import UserError
from gaia_ssl.evaluation import EvaluationRecord

SETTINGS = dict(arch='a', classes=('x', 'y'), k=20)


def test_results_outlive_the_process(tmp_path):
    path = tmp_path / 'evaluation.json'
    record = EvaluationRecord(path, SETTINGS)
    assert json.loads(path.read_text())['results'] == []
    top1 = [0.5, 0.25, 0.3]
    for seed, value in enumerate(top1):
        record.add('semi-1', seed, top1=value, lr=0.1)
    record.add('knn', None, top1=0.75)
    again = EvaluationRecord(path, SETTINGS)
    assert again.results == record.results and again.has('knn', None) and again.has('semi-1', 2)
    assert not again.has('semi-1', 3) and not again.has('linear', 0)
    summary = json.loads(path.read_text())['summary']
    assert summary['knn'] == dict(mean=0.75, std=None, runs=1)
    mean, std = statistics.mean(top1), statistics.stdev(top1)
    assert summary['semi-1'] == dict(mean=pytest.approx(mean), std=pytest.approx(std), runs=3)


def test_other_settings(tmp_path):
    path = tmp_path / 'evaluation.json'
    EvaluationRecord(path, SETTINGS)
    with pytest.raises(UserError, match=r'made with another k \(20, now 5\)'):
        EvaluationRecord(path, {**SETTINGS, 'k': 5})


@pytest.mark.parametrize('text', ['', '[]', '{"settings": 1}', '{'])
def test_a_broken_file(tmp_path, text):
    (tmp_path / 'evaluation.json').write_text(text)
    with pytest.raises(UserError, match='not a file of results'):
        EvaluationRecord(tmp_path / 'evaluation.json', SETTINGS)
