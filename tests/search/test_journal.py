import os
import pathlib
import subprocess
import sys
import threading

import pytest

from gaia_ssl.errors import UserError
from gaia_ssl.search.journal import ScoreJournal
from tests import tiny

SETTINGS = dict(images=7, features=('c4', 'c5'), dtype='float32')
RECORDS = [(0, 0, b'abc'), (0, 1, b''), (2, 5, bytes(range(256)) * 9)]


def write(folder: pathlib.Path, process: int = 0, records=RECORDS) -> pathlib.Path:
    writer = ScoreJournal(folder, SETTINGS).writer(process)
    for record in records:
        writer.append(*record)
    writer.close()
    return folder / f'{process:04d}.journal'


def test_records_come_back_also_from_several_processes(tmp_path):
    write(tmp_path, 1)
    write(tmp_path, 0, [(1, 1, b'x')])
    write(tmp_path, 1, [(3, 3, b'y')])
    assert list(ScoreJournal(tmp_path, dict(SETTINGS))) == [(1, 1, b'x'), *RECORDS, (3, 3, b'y')]


def test_threads_share_a_writer(tmp_path):
    writer = ScoreJournal(tmp_path, SETTINGS).writer(0)
    threads = [threading.Thread(target=lambda n=n: [writer.append(n, i, bytes([n]) * 1000) for i in range(50)])
               for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    records = list(ScoreJournal(tmp_path, SETTINGS))
    assert sorted(record[:2] for record in records) == [(n, i) for n in range(4) for i in range(50)]
    assert all(payload == bytes([batch]) * 1000 for batch, _, payload in records)


def test_a_record_cut_anywhere_is_dropped_and_the_rest_kept(tmp_path):
    path = write(tmp_path)
    whole = path.read_bytes()
    ends = [20 + 3, 2 * 20 + 3, len(whole)]
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        kept = sum(end <= size for end in ends)
        journal = ScoreJournal(tmp_path, SETTINGS)
        assert list(journal) == RECORDS[:kept]
        assert journal.mend() == (size not in (0, *ends))
        assert path.stat().st_size == ([0, *ends][kept])
        write(tmp_path, records=[(9, 9, b'new')])
        assert list(journal) == [*RECORDS[:kept], (9, 9, b'new')]


@pytest.mark.parametrize('position', [0, 5, 10, 17, 21])
def test_a_record_that_was_changed_is_dropped(tmp_path, position):
    path = write(tmp_path)
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)
    assert RECORDS[0] not in list(ScoreJournal(tmp_path, SETTINGS))


def test_a_disk_that_fills_keeps_what_was_written(tmp_path):
    """A real limit on the size of files stands in for the full disk."""
    script = '''
import resource, signal, sys
from gaia_ssl.errors import UserError
from gaia_ssl.search.journal import ScoreJournal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))
writer = ScoreJournal(sys.argv[1], dict(a=1)).writer(0)
try:
    for unit in range(100):
        writer.append(0, unit, bytes(1000))
except UserError as error:
    print(unit, error)
'''
    result = subprocess.run([sys.executable, '-c', script, str(tmp_path)], capture_output=True, text=True, cwd=tiny.ROOT)
    assert result.stdout.startswith('4 ') and 'go on with --resume' in result.stdout and result.stdout.count('\n') == 1
    journal = ScoreJournal(tmp_path, dict(a=1))
    assert [record[1] for record in journal] == [0, 1, 2, 3]
    assert journal.mend() == 0  # the part that was written is gone again


def test_two_searches_do_not_write_in_one_folder(tmp_path):
    journal = ScoreJournal(tmp_path, SETTINGS)
    writer = journal.writer(0)
    with pytest.raises(UserError, match='another run is writing here'):
        journal.writer(0)
    with pytest.raises(UserError, match='another run is writing here'):
        journal.mend()
    writer.close()
    journal.mend()
    journal.writer(0).close()


def test_scores_without_their_settings_are_refused(tmp_path):
    write(tmp_path)
    (tmp_path / 'settings.json').unlink()
    with pytest.raises(UserError, match='settings.json is missing'):
        ScoreJournal(tmp_path, SETTINGS)


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


def test_a_search_without_scores_leaves_only_its_settings(tmp_path):
    assert list(ScoreJournal(tmp_path / 'scores', SETTINGS)) == []
    assert os.listdir(tmp_path / 'scores') == ['settings.json']
