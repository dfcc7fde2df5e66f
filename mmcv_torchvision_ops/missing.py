"""The error of an operator that only a compiled mmcv has."""

from typing import NoReturn


def missing(operator: str) -> NoReturn:
    """Raises:
        NotImplementedError: One line that names the operator and how to get it.
    """
    raise NotImplementedError(
        f"mmcv's operator {operator} has no counterpart in torchvision: it needs mmcv with compiled operators "
        '(bash tools/setup_env.sh --compile-mmcv, or docs/install.md, "Compiled operators")')
