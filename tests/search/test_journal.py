import numpy as np
import pytest

from gaia_ssl.errors import UserError
from gaia_ssl.search.journal import ScoreJournal

SETTINGS = dict(images=7, features=('c4', 'c5'), dtype='float32')


def test_scores_come_back_in_the_order_of_batches(tmp_path):
    scores = np.random.default_rng(0).normal(size=(3, 2, 7)).astype(np.float32)
    journal = ScoreJournal(tmp_path / 'scores', SETTINGS)
    assert 0 not in journal
    journal.write(1, scores[:, :, 4:])
    assert 0 not in journal and 1 in journal
    journal.write(0, scores[:, :, :4])
    again = ScoreJournal(tmp_path / 'scores', dict(SETTINGS))
    assert 0 in again and 1 in again and 2 not in again
    np.testing.assert_array_equal(again.read(2), scores)
    assert sorted(path.name for path in (tmp_path / 'scores').iterdir()) == [
        'batch_00000.npy', 'batch_00001.npy', 'settings.json']


def test_other_settings_are_refused_and_named(tmp_path):
    ScoreJournal(tmp_path, SETTINGS)
    with pytest.raises(UserError) as info:
        ScoreJournal(tmp_path, {**SETTINGS, 'images': 8, 'dtype': 'bfloat16', 'archs': 3})
    message = str(info.value)
    assert 'images was 7, now 8' in message and 'dtype was float32, now bfloat16' in message
    assert 'archs was None, now 3' in message and 'features' not in message
    assert '--overwrite' in message and '\n' not in message


def test_a_long_value_is_cut(tmp_path):
    ScoreJournal(tmp_path, dict(files='a' * 500))
    with pytest.raises(UserError) as info:
        ScoreJournal(tmp_path, dict(files='b' * 500))
    assert len(str(info.value)) < 400


def test_a_write_that_fails_leaves_nothing(tmp_path):
    journal = ScoreJournal(tmp_path, SETTINGS)
    with pytest.raises(ValueError):
        journal.write(0, np.array([object()]))  # no pickles
    assert 0 not in journal
    assert [path.name for path in tmp_path.iterdir()] == ['settings.json']
