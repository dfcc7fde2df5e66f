"""Files that are whole or not there: write beside the target, then rename; and whether another process uses them."""

import contextlib
import errno
import fcntl
import glob
import io
import json
import os
import pathlib
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from typing import IO, Any

from gaia_ssl.errors import UserError

DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike) -> Iterator[pathlib.Path]:
    """Yield a temporary path in the folder of ``path`` (made if missing); renamed to ``path`` if the block succeeds.

    The suffix is kept, so writers that look at it (matplotlib) work. What killed processes have left of the same file is
    removed.

    Raises:
        OSError: Of a full disk, with ``path`` as the file's name.
    """
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_leftovers(path.parent, glob.escape(path.name))
    try:
        with _locked(lambda: tempfile.mkstemp(prefix=f'.{path.stem}.', suffix=path.suffix, dir=path.parent)) as temporary:
            try:
                yield temporary
                with temporary.open('rb') as file:
                    os.fsync(file.fileno())
                temporary.chmod(0o666 & ~_umask())
                temporary.replace(path)
            finally:
                temporary.unlink(missing_ok=True)
    except OSError as error:
        if error.errno in DISK_FULL:
            error.filename = str(path)
        raise


@contextlib.contextmanager
def scratch_folder(parent: str | os.PathLike, name: str) -> Iterator[pathlib.Path]:
    """Yield a new folder ``.NAME.…`` in ``parent``, removed with all in it at the end. So are those of killed processes."""
    def make() -> tuple[int, str]:
        folder = tempfile.mkdtemp(prefix=f'.{name}.', dir=parent)
        return os.open(folder, os.O_RDONLY), folder

    remove_leftovers(parent, name)
    with _locked(make) as folder:
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def remove_leftovers(folder: str | os.PathLike, *names: str) -> None:
    """Remove what killed processes left of files ``names`` in ``folder``, which may be globs: temporaries nobody has locked."""
    for name in names:
        stem, suffix = os.path.splitext(name)
        for leftover in pathlib.Path(folder).glob(f'.{stem}.{"[a-z0-9_]" * 8}{suffix}'):
            with contextlib.suppress(OSError, UserError), _opened(leftover) as file:
                lock(file, leftover, shared=True)
                if leftover.is_dir():
                    shutil.rmtree(leftover, ignore_errors=True)
                else:
                    leftover.unlink()


@contextlib.contextmanager
def _locked(make: Callable[[], tuple[int, str]]) -> Iterator[pathlib.Path]:
    """What ``make`` makes and opens, locked, so that nobody takes it for a leftover; made again if somebody just did."""
    while True:
        file, name = make()
        try:
            if _is_ours(file, name):
                yield pathlib.Path(name)
                return
        finally:
            os.close(file)


def _is_ours(file: int, name: str) -> bool:
    try:
        lock(file, name, optional=True)
    except UserError:  # somebody is about to remove it
        return False
    return os.path.exists(name)


@contextlib.contextmanager
def _opened(path: pathlib.Path) -> Iterator[int]:
    file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        yield file
    finally:
        os.close(file)


def write_bytes(path: pathlib.Path, write: Callable[[IO[bytes]], object]) -> None:
    """Let ``write`` write into memory, then that into the file: an OSError if the disk is full, where writers of other
    languages end the process or tell something else."""
    buffer = io.BytesIO()
    write(buffer)
    path.write_bytes(buffer.getbuffer())


@contextlib.contextmanager
def reading_text(path: str | os.PathLike) -> Iterator[None]:
    """In here the text file ``path`` is read; raises a UserError if it is no UTF-8."""
    try:
        yield
    except UnicodeDecodeError as error:
        wrong = error.object[error.start]
        raise UserError(f'{path}: not a text in UTF-8 (byte {error.start} is {wrong:#x}); save it as one') from error


def read_json(path: str | os.PathLike, what: str, advice: str) -> dict[str, Any]:
    """The object in a JSON file, with or without a byte order mark.

    Args:
        path: The file.
        what: What it should be, for the error.
        advice: What to do if it is not, for the error.

    Raises:
        UserError: If it cannot be read, is no JSON or nested too deep, or holds no object.
    """
    try:
        content = json.loads(pathlib.Path(path).read_text(encoding='utf-8-sig'))
    except OSError as error:
        raise UserError(f'{path}: cannot be read ({error.strerror}); {advice}') from error
    except (ValueError, RecursionError) as error:
        raise UserError(f'{path}: not {what} ({type(error).__name__}: {str(error)[:200]}); {advice}') from error
    if not isinstance(content, dict):
        raise UserError(f'{path}: not {what}, but a {type(content).__name__}; {advice}')
    return content


def check_folder(path: str | os.PathLike, *holds: str, resume: bool | None = False, overwrite: bool = False) -> None:
    """Refuse the output folder ``path`` if it already holds another run.

    Args:
        path: The folder.
        holds: Globs of the files by which an earlier run is recognised.
        resume: The earlier run is meant to go on; None where none can.
        overwrite: The earlier run is to be replaced.

    Raises:
        UserError: If the folder holds an earlier run and neither ``resume`` nor ``overwrite`` is given, or it is a file.
    """
    path = pathlib.Path(path)
    if path.exists() and not path.is_dir():
        raise UserError(f'{path} is a file; give a folder for the output')
    if not (resume or overwrite) and (earlier := next(_matches(path, holds), None)):
        what = f'{earlier.name};' if resume is None else 'a run; continue it with --resume,'
        raise UserError(f'{path} already holds {what} replace it with --overwrite, or choose another folder')


def claim_folder(path: str | os.PathLike, *holds: str, resume: bool | None = False,
                 overwrite: bool = False) -> pathlib.Path:
    """Make the output folder ``path``; :func:`check_folder`, and remove the run that is to be replaced.

    Only what ``holds`` matches is removed, and nothing if the run is to be resumed.

    Raises:
        UserError: As :func:`check_folder`, or if what is to be removed is locked (:func:`lock`) by a run that is going on.
    """
    path = pathlib.Path(path)
    check_folder(path, *holds, resume=resume, overwrite=overwrite)
    if overwrite and not resume:
        replaced = [*_matches(path, holds)]
        for earlier in replaced:
            if earlier.is_file():
                with earlier.open('rb') as file:
                    lock(file, earlier, shared=True, optional=True)
        for earlier in replaced:
            if earlier.is_dir():
                shutil.rmtree(earlier, ignore_errors=True)
            else:
                earlier.unlink(missing_ok=True)
    path.mkdir(parents=True, exist_ok=True)
    return path


def lock(file: IO | int, path: str | os.PathLike, shared: bool = False, optional: bool = False) -> None:
    """Keep the open ``file`` for this process until it is closed, or the process ends in whatever way.

    Args:
        file: Open for writing, or for reading if ``shared``.
        path: What it is, for the error.
        shared: Others may have it as well, if they share it, too.
        optional: Go without on a disk that has no locks.

    Raises:
        UserError: If another process has it, or it cannot be locked.
    """
    try:
        fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise UserError(f'{path}: another run is writing here; wait for it, or choose another folder') from error
    except OSError as error:
        if optional:
            return
        raise UserError(f'{path}: cannot be locked ({error.strerror}); choose a folder on another disk') from error


def _matches(folder: pathlib.Path, globs: Iterable[str]) -> Iterator[pathlib.Path]:
    return (path for pattern in globs for path in folder.glob(pattern))


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
