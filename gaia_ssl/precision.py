"""Which number format pays on this machine."""

import torch


def computes_bfloat16() -> bool:
    """Whether the GPU, or without one the CPU, multiplies bfloat16 natively: several times faster than float32."""
    if torch.cuda.is_available():
        return torch.cuda.is_bf16_supported(including_emulation=False)
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(name, False) for name in ('amx_bf16', 'avx512_bf16', 'bf16'))
