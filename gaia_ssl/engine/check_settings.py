"""Settings of a config that would fail far from where they are read, or with words that say nothing of them."""

from __future__ import annotations

import difflib
from typing import Any

from mmengine.config import Config
from mmengine.registry import OPTIMIZERS

from gaia_ssl.errors import UserError
from gaia_ssl.export.backbone_config import LOADERS
from gaia_ssl.space.arch_space import AUTO


def check_settings(config: Config) -> None:
    """Check batch sizes, processes that read images, and the type of the optimizer.

    A loader that reads without such processes does not keep them, whatever the config says.

    Raises:
        UserError: If one cannot be used.
    """
    for name in LOADERS:
        loader = config.get(name)
        if not isinstance(loader, dict):
            continue
        for key, least in (('batch_size', 1), ('num_workers', 0)):
            value = loader.get(key, least)
            if value != AUTO and (type(value) is not int or value < least):
                raise UserError(f'{name}.{key} is {value!r}; give a whole number of {least} or more')
        if loader.get('num_workers') == 0:
            loader['persistent_workers'] = False
    _check_optimizer(config)


def _check_optimizer(config: Config) -> None:
    optimizer: Any = (config.get('optim_wrapper') or {}).get('optimizer')
    kind = optimizer.get('type') if isinstance(optimizer, dict) else None
    if not isinstance(kind, str):
        return
    with OPTIMIZERS.switch_scope_and_registry(config.get('default_scope')) as registry:
        if registry.get(kind) is None:
            known = {name.lower(): name for name in (*OPTIMIZERS.module_dict, *registry.module_dict)}
            near = difflib.get_close_matches(kind.lower(), known, n=1)
            hint = f'did you mean {known[near[0]]}?' if near else 'e.g. SGD, AdamW or LARS'
            raise UserError(f"optim_wrapper.optimizer.type is '{kind}', and there is no such optimizer; {hint}")
