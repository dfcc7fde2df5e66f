import pandas as pd
import pytest

from gaia_ssl.errors import UserError
from gaia_ssl.evaluation.score_file import ScoreFile

A, B, C = '4-4x1-8x1-8x1-16x1', '4-4x2-8x1-8x1-16x1', '8-4x1-8x1-8x1-16x1'
SETTINGS = dict(k=20, seed=0)


def write(path, scores, settings=SETTINGS) -> None:
    file = ScoreFile(path, settings)
    for arch, score in scores.items():
        file.add(arch, score)
    file.close()


def read(path, settings=SETTINGS) -> dict[str, float]:
    file = ScoreFile(path, settings)
    file.close()
    return file.scores


def test_scores_are_appended_exactly_and_read_back(tmp_path):
    path = tmp_path / 'new' / 'knn.csv'
    write(path, {A: 1 / 3})
    assert path.read_text() == f'arch,score\n{A},0.3333333333333333\n'  # before any close of the next
    write(path, {B: 0.5})
    assert read(path) == {A: 1 / 3, B: 0.5}
    assert pd.read_csv(path)['score'].tolist() == [1 / 3, 0.5]


def test_what_a_crash_cut_short_is_dropped_at_every_length(tmp_path):
    path = tmp_path / 'knn.csv'
    write(path, {A: 0.25, B: 0.75})
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        lines = whole[:length].count(b'\n')
        assert read(path) == dict(list({A: 0.25, B: 0.75}.items())[:max(0, lines - 1)])
        write(path, {C: 0.5})
        assert read(path)[C] == 0.5


def test_other_settings_are_refused(tmp_path):
    path = tmp_path / 'knn.csv'
    write(path, {A: 0.25})
    with pytest.raises(UserError, match='holds other scores .k was 20, now 5.; use --overwrite'):
        ScoreFile(path, dict(SETTINGS, k=5))
    (tmp_path / 'knn.json').unlink()
    with pytest.raises(UserError, match='settings in knn.json are missing'):
        ScoreFile(path, SETTINGS)


def test_a_damaged_line_and_a_second_writer(tmp_path):
    path = tmp_path / 'knn.csv'
    file = ScoreFile(path, SETTINGS)
    with pytest.raises(UserError, match='another process is writing here'):
        ScoreFile(path, SETTINGS)
    file.close()
    path.write_text(f'arch,score\n{A},x\n')
    with pytest.raises(UserError, match='line 2: .*finite'):
        ScoreFile(path, SETTINGS)
