"""Each operator against mmcv's compiled one: run beside it where it is, recorded on another machine where it is not."""

import mmcv.ops
import numpy as np
import pytest

from mmcv_torchvision_ops import extension
from tests.mmcv_torchvision_ops.cases import CASES, RECORDED, use

COMPILED = 'torchvision' not in mmcv.ops.get_compiler_version()
# In 16 bits, the compiled operator rounds each of its steps; where a sample lies at a map's border, that may drop it.
TOLERANCES = {'roi_align in float16': dict(rtol=4e-3, atol=4e-3)}


@pytest.fixture(scope='module')
def recorded():
    with np.load(RECORDED) as arrays:
        return dict(arrays)


def run_ours(case: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, np.ndarray]:
    with monkeypatch.context() as patch:
        use(extension, patch)
        return CASES[case]()


@pytest.mark.parametrize('case', CASES)
def test_equals_what_compiled_operators_answered(case, recorded, monkeypatch):
    answered = run_ours(case, monkeypatch)
    for name, values in answered.items():
        tolerance = TOLERANCES.get(case, dict(rtol=1e-5, atol=2e-6))
        np.testing.assert_allclose(values, recorded[f'{case}/{name}'], **tolerance, err_msg=name)


@pytest.mark.skipif(not COMPILED, reason='no compiled operators')
@pytest.mark.parametrize('case', [case for case in CASES if case.startswith(('nms', 'roi_align'))])
def test_equals_compiled_operators_to_the_bit(case, monkeypatch):
    compiled, answered = CASES[case](), run_ours(case, monkeypatch)
    for name, values in answered.items():
        if case in TOLERANCES:
            np.testing.assert_allclose(values, compiled[name], **TOLERANCES[case], err_msg=name)
        else:
            np.testing.assert_array_equal(values, compiled[name], err_msg=name)
