"""Checkpoints of the paper's own code as checkpoints of gaia_ssl.

Their MoCo keeps backbone and neck of the student in ``encoder_q.0.`` and ``encoder_q.1.``, the teacher's in ``encoder_k.``,
the student's backbone a second time in ``backbone.``, and the keys in ``queue`` and ``queue_ptr``. Inside backbone and
neck the names are those of torchvision's ResNet and of mmpretrain's MoCoV2Neck, as here.
"""

from __future__ import annotations

import re
from typing import Any

import torch
from torch import Tensor

from gaia_ssl.errors import UserError
from gaia_ssl.models.algorithms import SupernetMoCo
from gaia_ssl.models.supernet_meta import supernet_meta

_PARTS = {'encoder_q.0.': 'backbone.', 'encoder_q.1.': 'neck.', 'encoder_k.0.': 'teacher.backbone.',
          'encoder_k.1.': 'teacher.neck.'}
_SAME = ('queue', 'queue_ptr')
_COPY = 'backbone.'
_WRAPPERS = re.compile(r'^(module\.)+')
"""What DistributedDataParallel puts before each name."""


def convert_reference(checkpoint: dict[str, Any], model: SupernetMoCo, path: str) -> dict[str, Any]:
    """The checkpoint as training writes it; ``model`` then holds the weights.

    Args:
        checkpoint: As loaded from the file.
        model: A supernet of the same space, neck and queue.
        path: The file, for errors.

    Raises:
        UserError: If the file is of another layout, a key is left over or missing, a shape differs, or the two copies of
            the student's backbone are not the same.
    """
    theirs = _unwrapped(checkpoint.get('state_dict', checkpoint), path)
    copies = [name for name in theirs if name.startswith(_COPY)]
    differing = [name for name in copies if not _equal(theirs.pop(name), theirs.get('encoder_q.0.' + name[len(_COPY):]))]
    names = {name: _name_here(name) for name in theirs}
    originals = {here: name for name, here in names.items()}
    expected = model.state_dict()
    _refuse(path, {
        'left over': [name for name, here in names.items() if here not in expected],
        'missing': [_name_there(name) for name in expected if name not in originals],
        'unlike their second copy': differing,
        'of another shape': [f'{originals[here]} {tuple(theirs[originals[here]].shape)}, in the config {tuple(value.shape)}'
                             for here, value in expected.items()
                             if here in originals and theirs[originals[here]].shape != value.shape],
    })
    model.load_state_dict({here: theirs[name] for here, name in originals.items()})
    return dict(state_dict=model.state_dict(), meta=dict(gaia_ssl=supernet_meta(model)))


def _unwrapped(state: dict[str, Tensor], path: str) -> dict[str, Tensor]:
    state = {_WRAPPERS.sub('', str(name)): value for name, value in state.items()}
    if not any(name.startswith('encoder_q.') for name in state):
        raise UserError(f"{path}: not a checkpoint of the reference code's MoCo, whose weights are named encoder_q.… and "
                        f'encoder_k.… (here: {", ".join(list(state)[:3]) or "nothing"})')
    wrong = next((name for name, value in state.items() if not isinstance(value, Tensor)), None)
    if wrong is not None:
        raise UserError(f'{path}: its {wrong} is of type {type(state[wrong]).__name__}, not a tensor')
    return state


def _equal(a: Tensor, b: Tensor | None) -> bool:
    return b is not None and torch.equal(a, b)


def _name_here(name: str) -> str | None:
    if name in _SAME:
        return name
    return next((here + name[len(there):] for there, here in _PARTS.items() if name.startswith(there)), None)


def _name_there(name: str) -> str:
    return next((there + name[len(here):] for there, here in _PARTS.items() if name.startswith(here)), name)


def _refuse(path: str, troubles: dict[str, list[str]]) -> None:
    told = [f'{len(names)} {kind} ({", ".join(names[:3])}{", …" if len(names) > 3 else ""})'
            for kind, names in troubles.items() if names]
    if told:
        raise UserError(f'{path}: its weights do not fit the supernet of the config: {"; ".join(told)}')
