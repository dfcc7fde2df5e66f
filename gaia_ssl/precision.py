"""Which number format pays on this machine, and what float32 means on a GPU."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


def computes_bfloat16() -> bool:
    """Whether the GPU, or without one the CPU, multiplies bfloat16 natively: several times faster than float32."""
    if torch.cuda.is_available():
        return torch.cuda.is_bf16_supported(including_emulation=False)
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(name, False) for name in ('amx_bf16', 'avx512_bf16', 'bf16'))


@contextmanager
def full_float32() -> Iterator[None]:
    """In here (or in a function it decorates), float32 on a GPU is float32.

    Else torch lets convolutions round their inputs to TF32, of 11 significant bits in place of 24. On CPUs nothing changes.
    """
    convolutions, products = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    try:
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
        yield
    finally:
        torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = convolutions, products
