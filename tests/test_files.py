import errno
import fcntl
import os
import pathlib
import tempfile

import pytest

from gaia_ssl.errors import UserError
from gaia_ssl.files import atomic_path, check_folder, claim_folder, lock, read_json, remove_leftovers, scratch_folder


def test_the_file_appears_whole_in_a_folder_that_is_made(tmp_path):
    target = tmp_path / 'a' / 'b' / 'plot.png'
    with atomic_path(target) as temporary:
        assert temporary.parent == target.parent and temporary.suffix == '.png'
        temporary.write_text('new')
        assert not target.exists()
    assert target.read_text() == 'new'
    assert os.listdir(target.parent) == ['plot.png']


@pytest.mark.parametrize('error', [ValueError, KeyboardInterrupt, SystemExit])
def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path, error):
    target = tmp_path / 'table.csv'
    target.write_text('old')
    with pytest.raises(error), atomic_path(target) as temporary:
        temporary.write_text('half of the ne')
        raise error
    assert target.read_text() == 'old'
    assert os.listdir(tmp_path) == ['table.csv']


def test_an_error_leaves_no_new_file(tmp_path):
    with pytest.raises(ValueError), atomic_path(tmp_path / 'table.csv'):
        raise ValueError
    assert os.listdir(tmp_path) == []


def test_replaces_the_old_file(tmp_path):
    target = tmp_path / 'table.csv'
    target.write_text('a longer old text')
    with atomic_path(str(target)) as temporary:
        temporary.write_text('new')
    assert target.read_text() == 'new'


@pytest.mark.skipif(os.name != 'posix', reason='permissions of POSIX')
def test_permissions_follow_the_umask(tmp_path):
    mask = os.umask(0o027)
    try:
        with atomic_path(tmp_path / 'file'):
            pass
        assert (tmp_path / 'file').stat().st_mode & 0o777 == 0o640
    finally:
        assert os.umask(mask) == 0o027


def test_what_killed_processes_left_is_removed_and_of_living_ones_not(tmp_path):
    left = tmp_path / '.table [1].abcdefgh.csv', tmp_path / '.epoch_3.abcdefgh.pth'
    kept = [tmp_path / name for name in ('.table [1].csv', '.table [1].abcdefg.csv', '.table [1].ABCDEFGH.csv',
                                         '.table 1.abcdefgh.csv', '.other.abcdefgh.csv')]
    for path in (*left, *kept):
        path.write_text('')
    with atomic_path(tmp_path / 'table [1].csv') as first:
        with atomic_path(tmp_path / 'table [1].csv') as second:
            second.write_text('second')
        assert first.exists() and not left[0].exists() and left[1].exists()
        first.write_text('first')
    remove_leftovers(tmp_path, 'epoch_*.pth')
    assert sorted(tmp_path.iterdir()) == sorted([*kept, tmp_path / 'table [1].csv'])


def test_folders_of_killed_processes_too(tmp_path):
    (tmp_path / '.export.abcdefgh').mkdir()
    (tmp_path / '.export.abcdefgh' / 'backbone.pth').write_text('')
    with scratch_folder(tmp_path, 'export') as first:
        (first / 'file').write_text('')
        with scratch_folder(tmp_path, 'export') as second:
            assert sorted(tmp_path.iterdir()) == sorted([first, second])
        assert [*tmp_path.iterdir()] == [first]
    assert [*tmp_path.iterdir()] == []


def test_a_temporary_that_another_process_takes_for_a_leftover(tmp_path, monkeypatch):
    """Which has locked it before we have, and is about to remove it."""
    make, taken = tempfile.mkstemp, []

    def mkstemp(**kwargs):
        file, name = make(**kwargs)
        if not taken:
            taken.append(open(name, 'rb'))
            fcntl.flock(taken[0], fcntl.LOCK_SH)
        return file, name

    monkeypatch.setattr(tempfile, 'mkstemp', mkstemp)
    with atomic_path(tmp_path / 'a.csv') as temporary:
        os.unlink(taken[0].name)
        temporary.write_text('whole')
    taken[0].close()
    assert [path.read_text() for path in tmp_path.iterdir()] == ['whole']


def test_a_disk_without_locks(tmp_path, monkeypatch):
    def flock(*args):
        raise OSError(errno.ENOLCK, 'No locks available')

    monkeypatch.setattr(fcntl, 'flock', flock)
    (tmp_path / '.a.abcdefgh.csv').write_text('perhaps in use')
    with atomic_path(tmp_path / 'a.csv') as temporary, scratch_folder(tmp_path, 'b'):
        temporary.write_text('')
    assert sorted(os.listdir(tmp_path)) == ['.a.abcdefgh.csv', 'a.csv']
    claim_folder(tmp_path, '*.csv', overwrite=True)
    assert os.listdir(tmp_path) == []
    with (tmp_path / 'a.csv').open('wb') as file, pytest.raises(UserError, match='a.csv: cannot be locked'):
        lock(file, tmp_path / 'a.csv')


def test_claim_makes_the_folder(tmp_path):
    folder = claim_folder(str(tmp_path / 'a' / 'b'), '*.csv')
    assert folder == tmp_path / 'a' / 'b' and folder.is_dir()


def test_claim_accepts_what_is_no_run(tmp_path):
    (tmp_path / 'notes.txt').write_text('')
    assert claim_folder(tmp_path, '*.csv') == tmp_path


def test_claim_refuses_another_run_unless_told(tmp_path):
    (tmp_path / 'ranking.csv').write_text('precious')
    with pytest.raises(UserError, match='already holds a run.*--resume.*--overwrite'):
        claim_folder(tmp_path, '*.csv')
    with pytest.raises(UserError, match='already holds ranking.csv; replace it with --overwrite'):
        claim_folder(tmp_path, '*.csv', resume=None)
    assert claim_folder(tmp_path, '*.csv', resume=True) == tmp_path
    assert claim_folder(tmp_path, '*.csv', resume=True, overwrite=True) == tmp_path
    assert (tmp_path / 'ranking.csv').read_text() == 'precious'


def test_claim_removes_the_run_that_is_to_be_replaced_and_nothing_else(tmp_path):
    (tmp_path / 'epoch_9.pth').write_text('')
    (tmp_path / 'notes.txt').write_text('')
    (tmp_path / 'scores').mkdir()
    (tmp_path / 'scores' / 'batch.npy').write_text('')
    holds = '*.pth', 'scores'
    check_folder(tmp_path, *holds, overwrite=True)
    assert len(os.listdir(tmp_path)) == 3
    assert claim_folder(tmp_path, *holds, overwrite=True) == tmp_path
    assert os.listdir(tmp_path) == ['notes.txt']


def test_claim_removes_nothing_of_a_run_that_is_going_on(tmp_path):
    for name in ('a.csv', 'b.csv'):
        (tmp_path / name).write_text('')
    with (tmp_path / 'b.csv').open('r+b') as file:
        lock(file, tmp_path)
        with pytest.raises(UserError, match='b.csv: another run is writing here'):
            claim_folder(tmp_path, '*.csv', overwrite=True)
        assert sorted(os.listdir(tmp_path)) == ['a.csv', 'b.csv']
        assert claim_folder(tmp_path, '*.csv', resume=True) == tmp_path
    claim_folder(tmp_path, '*.csv', overwrite=True)
    assert os.listdir(tmp_path) == []


def test_claim_refuses_a_file(tmp_path):
    file = pathlib.Path(tmp_path / 'file')
    file.write_text('')
    for flags in (dict(), dict(resume=True), dict(overwrite=True)):
        with pytest.raises(UserError, match='is a file'):
            claim_folder(file, '*', **flags)


BROKEN_JSON = dict(
    empty=b'', cut=b'{"a": [1', text=b'hello', latin=b'{"a": "\xe9"}', utf16='{"a": 1}'.encode('utf-16'), number=b'5',
    list=b'[1]', null=b'null', string=b'"a"', deep=b'[' * 10**5, digits=b'{"a": ' + b'9' * 10**4 + b'}', zeros=bytes(64))


@pytest.mark.parametrize('kind', BROKEN_JSON)
def test_json_that_is_none(tmp_path, kind):
    path = tmp_path / 'a.json'
    path.write_bytes(BROKEN_JSON[kind])
    with pytest.raises(UserError, match=r'a\.json: not a table.*; make one$') as info:
        read_json(path, 'a table', 'make one')
    assert len(str(info.value).splitlines()) == 1


def test_json(tmp_path):
    path = tmp_path / 'a.json'
    path.write_text('\ufeff{"a": 1}', encoding='utf-8')
    assert read_json(path, 'a table', 'make one') == dict(a=1)
    for missing in (tmp_path, tmp_path / 'b.json'):
        with pytest.raises(UserError, match='cannot be read .*; make one'):
            read_json(missing, 'a table', 'make one')
