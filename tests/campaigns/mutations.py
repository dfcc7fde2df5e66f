"""What happens to files: whole families of damage and malice, drawn by a seed."""

from __future__ import annotations

import copy
import json
import os
import pathlib
import random
from collections.abc import Callable
from typing import Any

import torch

from gaia_ssl.checkpoint import load_checkpoint

Mutation = tuple[str, Callable[[pathlib.Path], None]]
"""A name, and what makes a file of it at a path where a whole one lies."""
TEMPLATE = '{{ fileDirname }}'
MALICE = (TEMPLATE, "'+__import__('os').system('touch executed')+'", '$(touch executed)', '\n# heading', '[red]x[/y]', '=1+1',
          '../../outside', '\x1b[31m', 'ab', '\udce9')
"""Texts that something down the line could take for code, markup, a path or a formula."""


class Exploit:
    """Loaded as a pickle, it makes the folder ``executed``."""

    def __init__(self, path: pathlib.Path) -> None:
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path), )


def broken_bytes(rng: random.Random) -> Mutation:
    """Damage that any kind of file can take."""
    def cut(path):
        data = path.read_bytes()
        path.write_bytes(data[:rng.randrange(len(data) + 1)])

    def flip(path):
        data = bytearray(path.read_bytes())
        for _ in range(rng.choice([1, 8, 100])):
            if data:
                data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        path.write_bytes(data)

    def replace(path):
        path.write_bytes(rng.randbytes(rng.choice([1, 100, 5000])))

    def insert(path):
        data = path.read_bytes()
        at = rng.randrange(len(data) + 1)
        added = rng.choice([b'\0' * 64, b'\xff\xfe', b'\xef\xbb\xbf', '\u202e\u2028'.encode()])
        path.write_bytes(data[:at] + added + data[at:])

    def twice(path):
        path.write_bytes(path.read_bytes() * 2)

    def folder(path):
        path.unlink()
        path.mkdir()

    def loop(path):
        path.unlink()
        path.symlink_to(path.name)

    def pickle_code(path):
        torch.save(Exploit(path.parent / 'executed'), path)

    change = rng.choice([cut, cut, cut, flip, flip, flip, replace, insert, insert, twice, folder, loop, pickle_code])
    return change.__name__, change


def broken_json(rng: random.Random) -> Mutation:
    """One place of a JSON file holds something else."""
    wrong = rng.choice([None, True, -1, 0, 1e308, 10**30, float('nan'), float('inf'), '', 'text', [], {}, [[[]]], [1, 'a'],
                        *MALICE])

    def change(path):
        content = json.loads(path.read_text())
        path.write_text(json.dumps(_changed(content, wrong, rng)))

    return f'json: {wrong!r}', change


def broken_text(rng: random.Random) -> Mutation:
    """One field of a table or list holds something else, or a line goes, doubles or grows."""
    wrong = rng.choice(['', 'nan', 'inf', '-1', '1e400', 'text', '"', ',,,', '\0', 'é' * 10, '9' * 400, *MALICE])

    def change(path):
        lines = path.read_text().split('\n')
        at = rng.randrange(len(lines))
        fields = lines[at].split(',')
        fields[rng.randrange(len(fields))] = wrong
        lines[at] = ','.join(fields)
        path.write_bytes('\n'.join(lines).encode(errors='surrogateescape'))

    return f'text: {wrong[:20]!r}', change


def broken_checkpoint(rng: random.Random) -> Mutation:
    """One place of a checkpoint holds something else, or a tensor is of another kind."""
    wrong = rng.choice([None, True, -1, 10**12, float('nan'), 'text', [], {}, [1, 2], [[[]]], *MALICE,
                        torch.zeros(1), torch.zeros(0), torch.tensor(float('nan'))])
    tensors = dict(
        shape=lambda value: value.reshape(-1)[:1], nan=lambda value: value.float() * float('nan'),
        complex=lambda value: value.to(torch.complex64), integer=lambda value: value.to(torch.int64),
        half=lambda value: value.to(torch.float16), sparse=lambda value: value.to_sparse(), meta=lambda value: value.to('meta'),
        transposed=lambda value: value.transpose(0, -1) if value.ndim else value, larger=lambda value: value.repeat(2, *[1] * (
            value.ndim - 1)) if value.ndim else value, infinite=lambda value: value.float() + float('inf'))
    kind = rng.choice(list(tensors))
    of_tensors = rng.random() < 0.4

    def change(path):
        content = load_checkpoint(path)
        if of_tensors:
            state = content.get('state_dict', content)
            key = rng.choice([key for key, value in state.items() if isinstance(value, torch.Tensor)])
            state[key] = tensors[kind](state[key])
        else:
            content = _changed(content, wrong, rng)
        torch.save(content, path)

    return (f'tensor: {kind}' if of_tensors else f'value: {str(wrong)[:30]!r}'), change


def _changed(content: Any, wrong: Any, rng: random.Random) -> Any:
    """``content`` with ``wrong`` in one place, or without that place."""
    content = copy.deepcopy(content)
    node, depth = content, rng.randrange(1, 6)
    while True:
        keys = list(node) if isinstance(node, dict) else range(len(node))
        if not keys:
            return wrong
        key = rng.choice(keys)
        depth -= 1
        if depth <= 0 or not isinstance(node[key], (dict, list)) or not node[key]:
            break
        node = node[key]
    if rng.random() < 0.2:
        del node[key]
    else:
        node[key] = wrong
    return content
