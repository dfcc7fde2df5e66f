"""Scores on disk as they are computed, so that a search that was stopped goes on where it was."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import struct
import threading
import time
import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO

from gaia_ssl.errors import UserError
from gaia_ssl.files import atomic_path, lock, read_json

_HEADER = struct.Struct('<4sIIII')  # magic, image batch, unit, bytes of the payload, CRC-32 of all that follows the magic
_MAGIC = b'gaia'
SETTINGS = 'settings.json'
FILES = (SETTINGS, '*.journal', 'round-*')
"""What lies in its folder; the rounds of a race each have one within."""


class ScoreJournal:
    """A folder of append-only files of finished units, one a process, and the settings under which they are comparable.

    A record is there whole or not at all: what a crash cut off is recognised by its length or checksum and dropped.

    Args:
        folder: Where the files are; made if missing.
        settings: Plain values that decide the scores. A folder begun under other settings is refused.

    Raises:
        UserError: If the folder holds scores of other settings.
    """

    def __init__(self, folder: str | os.PathLike, settings: dict[str, Any]) -> None:
        self.folder = pathlib.Path(folder)
        self._settings = settings = json.loads(json.dumps(settings))
        if earlier := self.settings_in(folder):
            if told := self._differing(earlier):
                raise UserError(f'{self.folder} holds scores of another search ({told}); use --overwrite or another folder')
        elif any(self.folder.glob('*.journal')):
            raise UserError(f'{self.folder} holds scores whose settings.json is missing; use --overwrite or another folder')
        else:
            with atomic_path(self.folder / SETTINGS) as temporary:
                temporary.write_text(json.dumps(settings), encoding='utf-8')

    def _differing(self, earlier: dict[str, Any]) -> str:
        """Which settings ``earlier`` has otherwise; empty if none."""
        settings = self._settings
        return '; '.join(f'{key} was {_short(earlier.get(key))}, now {_short(settings.get(key))}'
                         for key in {**settings, **earlier} if settings.get(key) != earlier.get(key))

    @contextlib.contextmanager
    def hold(self) -> Iterator[None]:
        """Keep the folder for this process until the block ends.

        Raises:
            UserError: If another search has it.
        """
        with (self.folder / SETTINGS).open('r+b') as file:
            lock(file, self.folder)
            yield

    def check_own(self) -> None:
        """Raise a UserError if the folder is another search's by now, or none's."""
        now = self.settings_in(self.folder)
        if not now or self._differing(now):
            raise UserError(f'{self.folder}: was removed or taken over by another search meanwhile, so that no ranking is '
                            'written; search again in another folder')

    @staticmethod
    def settings_in(folder: str | os.PathLike) -> dict[str, Any]:
        """The settings that a folder was begun under; empty if it was not.

        Raises:
            UserError: If they cannot be read.
        """
        path = pathlib.Path(folder) / SETTINGS
        return read_json(path, 'the settings of a search', 'use --overwrite or another folder') if path.is_file() else {}

    def __iter__(self) -> Iterator[tuple[int, int, bytes]]:
        """Image batch, unit and payload of every whole record."""
        for path in sorted(self.folder.glob('*.journal')):
            with path.open('rb') as file:
                while (record := _read(file)) is not None:
                    yield record

    def mend(self) -> int:
        """Cut off what a crash left of a last record, so that more can be appended; returns how many files had such."""
        mended = 0
        for path in self.folder.glob('*.journal'):
            with path.open('r+b') as file:
                lock(file, path)
                end = 0
                while _read(file) is not None:
                    end = file.tell()
                if end < path.stat().st_size:
                    file.truncate(end)
                    mended += 1
        return mended

    def writer(self, process: int) -> JournalWriter:
        """Where process number ``process`` appends."""
        return JournalWriter(self.folder / f'{process:04d}.journal')


class JournalWriter:
    """Appends finished units to one file; threads may share it."""

    def __init__(self, path: pathlib.Path) -> None:
        self._path = path
        self._file = path.open('ab', buffering=0)
        self._lock = threading.Lock()
        self._synced = 0.0
        lock(self._file, path)

    def append(self, batch: int, unit: int, payload: bytes) -> None:
        """Append a record. No kill can take it back; a power failure may, if it comes within a second.

        Raises:
            UserError: If it cannot be written, as on a full disk; what was appended before stays.
        """
        numbers = struct.pack('<III', batch, unit, len(payload))
        record = _MAGIC + numbers + struct.pack('<I', zlib.crc32(numbers + payload)) + payload
        with self._lock:
            end = os.fstat(self._file.fileno()).st_size
            try:
                written = 0
                while written < len(record):  # a disk that fills takes a part and then fails
                    written += self._file.write(record[written:])
                if time.monotonic() - self._synced > 1:
                    os.fsync(self._file.fileno())
                    self._synced = time.monotonic()
            except OSError as error:
                self._file.truncate(end)
                raise UserError(f'{self._path}: cannot be written ({error.strerror}); all finished units are kept: '
                                'make room and go on with --resume') from error

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _read(file: BinaryIO) -> tuple[int, int, bytes] | None:
    """The next record, or None at the end and where a record is not whole."""
    header = file.read(_HEADER.size)
    if len(header) < _HEADER.size:
        return None
    magic, batch, unit, size, checksum = _HEADER.unpack(header)
    payload = file.read(size) if magic == _MAGIC else b''
    if len(payload) < size or magic != _MAGIC or zlib.crc32(header[4:16] + payload) != checksum:
        return None
    return batch, unit, payload


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 60 else f'{text[:57]}…'
