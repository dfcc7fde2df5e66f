"""Checkpoints: read without running what is in them, written whole or not at all."""

import errno
import hashlib
import os
import pathlib
import pickle
import re
from collections.abc import Sequence
from typing import Any

import torch
from mmengine.logging import HistoryBuffer
from mmengine.runner.checkpoint import get_torch_safe_globals

from gaia_ssl.errors import UserError
from gaia_ssl.files import atomic_path, write_bytes


def _method(owner: object, name: str) -> object:
    """In place of ``getattr``, which mmengine allows in checkpoints for the methods that its log's buffers name.

    By ``getattr`` a file would get at the globals of a module, and change them.
    """
    if owner is not HistoryBuffer or not name.isidentifier() or name.startswith('_'):
        raise pickle.UnpicklingError(f'it asks for the attribute {name!r:.100}')
    return getattr(owner, name)


_SAFE = [each for each in get_torch_safe_globals() if each is not getattr] + [(_method, 'builtins.getattr')]


def load_checkpoint(path: str | os.PathLike, with_config: bool = False, harmless: Sequence[type] = ()) -> dict[str, Any]:
    """Read a checkpoint onto the CPU, tensors and plain values only (``weights_only``).

    Args:
        path: The file.
        with_config: Accept a config inside, which is then text that nobody runs; for weights that are taken out alone.
        harmless: Further classes that the file may hold, of which nothing runs when they are read.

    Raises:
        UserError: If the file is missing, unreadable, cut short, no checkpoint, or holds anything that would execute code.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise UserError(f'{path}: no such checkpoint file')
    try:
        with torch.serialization.safe_globals([*_SAFE, *harmless]):
            checkpoint = torch.load(path, map_location='cpu', weights_only=True)
    except pickle.UnpicklingError as error:
        raise UserError(f'{path}: refused, because it is no checkpoint or holds objects beyond tensors and plain values '
                        f'that could execute code ({_refused(error)})') from error
    except OSError as error:
        if error.errno in (None, errno.EINVAL):  # of torch, on a damaged file: it seeks to before its beginning
            raise UserError(f'{path}: cut short or no checkpoint ({_first_line(error)}); copy or train it again') from error
        raise UserError(f'{path}: cannot be read ({error.strerror})') from error
    except Exception as error:  # a damaged file, or one of another kind, fails in as many ways
        raise UserError(f'{path}: cut short or no checkpoint ({_first_line(error)}); copy or train it again') from error
    if not isinstance(checkpoint, dict):
        raise UserError(f'{path}: holds a {type(checkpoint).__name__}, not a checkpoint')
    meta = checkpoint.get('meta', {})
    for name, part in (('meta', meta), ('state_dict', checkpoint.get('state_dict', {}))):
        if not isinstance(part, dict):
            raise UserError(f'{path}: not a checkpoint: its {name} is a {type(part).__name__}')
    if 'config' in meta and not with_config:
        # mmengine runs this entry as Python when it resumes.
        raise UserError(f"{path}: refused, because its meta holds a 'config' of Python code to run")
    return checkpoint


def save_checkpoint(checkpoint: dict[str, Any], path: str | os.PathLike) -> None:
    """Write ``checkpoint`` to ``path`` atomically."""
    with atomic_path(path) as temporary:
        write_bytes(temporary, lambda file: torch.save(checkpoint, file))


def latest_checkpoint(work_dir: str | os.PathLike) -> str | None:
    """The checkpoint of the latest iteration or epoch in ``work_dir``; they are written whole or not at all."""
    found = [(int(match.group(1)), path) for path in pathlib.Path(work_dir).glob('*.pth')
             if (match := re.fullmatch(r'(?:epoch|iter)_(\d+)\.pth', path.name))]
    return str(max(found)[1]) if found else None


def file_hash(path: str | os.PathLike) -> str:
    """SHA-256 of a file, in hex."""
    digest = hashlib.sha256()
    with open(path, 'rb') as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def _refused(error: pickle.UnpicklingError) -> str:
    """What the reader refused, out of torch's paragraph that advises to run it all the same."""
    found = re.search(r'(?:Unsupported |WeightsUnpickler error: )\s*([^\n]*)', str(error))
    return found[1].strip()[:200] if found else _first_line(error)


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
