"""The stand-in for mmcv's compiled module, and how it is found."""

import subprocess
import sys

import mmcv.ops
import pytest
import torch

from mmcv_torchvision_ops import extension
from tests import tiny
from tests.mmcv_torchvision_ops.cases import use

COMPILED = 'torchvision' not in mmcv.ops.get_compiler_version()


@pytest.mark.parametrize('first', ['mmcv.ops', 'mmdet.models', 'mmseg.models'])
@pytest.mark.slow
def test_found_by_a_process_that_imports_nothing_of_ours_first(first, tmp_path):
    code = f'import sys, {first}, mmcv.ops\nassert "gaia_ssl" not in sys.modules\nprint(mmcv.ops.get_compiler_version())'
    result = subprocess.run([sys.executable, '-c', code], cwd=tmp_path, env=tiny.environment(PYTHONPATH=''), text=True,
                            capture_output=True)
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[-1] == mmcv.ops.get_compiler_version()


def test_what_is_compiled_comes_first(tmp_path):
    """The finder is asked last, so an ``_ext`` in mmcv's own folder is the one that is imported."""
    (tmp_path / 'mmcv').mkdir()
    (tmp_path / 'mmcv' / '__init__.py').touch()
    code = 'import mmcv._ext; print(mmcv._ext.__file__)'
    for there in (False, True):
        if there:
            (tmp_path / 'mmcv' / '_ext.py').touch()
        result = subprocess.run([sys.executable, '-c', code], cwd=tmp_path, env=tiny.environment(PYTHONPATH=''), text=True,
                                capture_output=True)
        found = result.stdout.strip()
        assert found == str(tmp_path / 'mmcv' / '_ext.py') if there else found.endswith('mmcv_torchvision_ops/extension.py')


def test_starting_python_imports_no_torch(tmp_path):
    code = 'import sys; print("mmcv_torchvision_ops.finder" in sys.modules, "torch" in sys.modules)'
    result = subprocess.run([sys.executable, '-c', code], cwd=tmp_path, env=tiny.environment(PYTHONPATH=''), text=True,
                            capture_output=True)
    assert result.stdout.split() == ['True', 'False'] and result.stderr == ''


def test_registered_once():
    from mmcv_torchvision_ops.finder import Finder, register
    register()
    assert sum(getattr(finder, '__name__', '') == 'Finder' and finder.__module__ == Finder.__module__
               for finder in sys.meta_path) == 1


def test_an_operator_that_is_missing_is_one_line_when_it_is_called():
    assert not hasattr(extension, '__path__')
    with pytest.raises(NotImplementedError, match="mmcv's operator carafe_forward .* --compile-mmcv") as info:
        extension.carafe_forward(torch.ones(1), up=2)
    assert '\n' not in str(info.value)


@pytest.mark.skipif(COMPILED, reason='compiled operators have it')
def test_max_pooling_of_roi_align_is_refused():
    with pytest.raises(NotImplementedError, match="roi_align of pool_mode='max'"):
        mmcv.ops.roi_align(torch.ones(1, 1, 4, 4), torch.zeros(1, 5), 2, 1.0, 0, 'max', True)


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_16_bits_and_autocast(dtype, monkeypatch):
    """As under autocast: 16-bit features and offsets, boxes in 32 bits. The result is that in 32 bits, rounded once."""
    use(extension, monkeypatch)
    generator = torch.Generator().manual_seed(0)
    maps = torch.randn(1, 4, 8, 8, generator=generator)
    rois = torch.tensor([[0, 1.3, 2.1, 12.9, 13.7]])
    offset, mask = torch.randn(1, 18, 8, 8, generator=generator), torch.rand(1, 9, 8, 8, generator=generator)
    weight = torch.randn(2, 4, 3, 3, generator=generator)
    calls = [
        lambda kind: mmcv.ops.roi_align(maps.to(kind), rois, 2, 0.5, 0, 'avg', True),
        lambda kind: mmcv.ops.deform_conv2d(maps, offset.to(kind), weight, 1, 1),
        lambda kind: mmcv.ops.modulated_deform_conv2d(maps, offset.to(kind), mask, weight, None, 1, 1),
    ]
    with torch.autocast('cpu', dtype):
        for call in calls:
            assert call(dtype).dtype == dtype
            torch.testing.assert_close(call(dtype).float(), call(torch.float32), rtol=0.05, atol=0.1)
        boxes = torch.tensor([[0, 0, 9, 9], [0, 0, 9, 8.5], [20, 20, 30, 30]]).to(dtype)
        _, kept = mmcv.ops.nms(boxes, torch.tensor([0.9, 0.8, 0.7]).to(dtype), 0.5)
        assert kept.tolist() == [0, 2]


def test_deformable_attention_and_its_gradients():
    """Against mmcv's own version in torch, differentiated by autograd."""
    from mmcv.ops.multi_scale_deform_attn import MultiScaleDeformableAttnFunction, multi_scale_deformable_attn_pytorch
    generator = torch.Generator().manual_seed(0)
    shapes = torch.tensor([[6, 4], [3, 2]])
    starts = torch.tensor([0, 24])
    leaves = [torch.rand(2, 30, 2, 8, generator=generator), torch.rand(2, 5, 2, 2, 3, 2, generator=generator),
              torch.rand(2, 5, 2, 2, 3, generator=generator)]
    value, locations, weights = (each.requires_grad_() for each in leaves)
    expected = multi_scale_deformable_attn_pytorch(value, shapes, locations, weights)
    grads = torch.autograd.grad(expected.square().sum(), leaves)
    with pytest.MonkeyPatch.context() as patch:
        use(extension, patch)
        answered = MultiScaleDeformableAttnFunction.apply(value, shapes, starts, locations, weights, 64)
        torch.testing.assert_close(answered, expected)
        for one, other in zip(torch.autograd.grad(answered.square().sum(), leaves), grads, strict=True):
            torch.testing.assert_close(one, other)
