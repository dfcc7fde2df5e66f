import pathlib
import platform

import pytest
import torch

from gaia_ssl.precision import computes_bfloat16, full_float32


@pytest.mark.skipif(platform.system() != 'Linux' or platform.machine() != 'x86_64' or torch.cuda.is_available(),
                    reason='reads the flags of an x86 CPU under Linux')
def test_as_the_kernel_says():
    flags = pathlib.Path('/proc/cpuinfo').read_text().split()
    assert computes_bfloat16() == ('amx_bf16' in flags or 'avx512_bf16' in flags)


@pytest.mark.parametrize('capabilities, expected', [
    (dict(amx_bf16=True), True), (dict(amx_bf16=False, avx512_bf16=True), True), (dict(avx2=True), False), ({}, False)])
def test_what_a_cpu_can(monkeypatch, capabilities, expected):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    monkeypatch.setattr(torch.cpu, 'get_capabilities', lambda: capabilities)
    assert computes_bfloat16() is expected


@pytest.mark.parametrize('native', [True, False])
def test_a_gpu_decides_where_there_is_one(monkeypatch, native):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    monkeypatch.setattr(torch.cuda, 'is_bf16_supported', lambda including_emulation: native and not including_emulation)
    assert computes_bfloat16() is native


def test_full_float32(monkeypatch):
    """Within it only, also as a decorator and after an error."""
    def settings():
        return torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32

    monkeypatch.setattr(torch.backends.cudnn, 'allow_tf32', True)
    before = settings()
    with pytest.raises(KeyError), full_float32():
        assert settings() == (False, False)
        raise KeyError
    assert settings() == before and full_float32()(settings)() == (False, False) and settings() == before
