"""The bench on a tiny space; no test depends on how long anything takes."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import spearmanr

from gaia_ssl import DATA_SPACE, Arch, ArchSpace
from gaia_ssl.errors import UserError
from gaia_ssl.evaluation import check_latency, measure_latency
from gaia_ssl.evaluation.latency import _Bench, covering_archs, summarise
from gaia_ssl.models import SubnetResNet
from gaia_ssl.space.latency import blocks_of, blocks_of_space
from tests import tiny


def measure(space: ArchSpace = tiny.SPACE, **kwargs):
    return measure_latency(space, **{**dict(stem_kernel=3, resolution=32, threads=1, repeats=1), **kwargs})


@pytest.fixture(scope='module')
def table():
    return measure(batch_size=2)


def test_every_block_of_the_space_is_measured(table):
    assert list(table.milliseconds) == blocks_of_space(tiny.SPACE)
    assert all(time > 0 for time in table.milliseconds.values())
    assert len(table.of_space(tiny.SPACE, stem_kernel=3)) == len(tiny.SPACE)


def test_the_table_says_how_it_was_measured(table, tmp_path):
    told = table.provenance
    assert told['device'] and told['torch'] == torch.__version__ and told['spread'] >= 0
    assert {name: told[name] for name in ('device_type', 'threads', 'batch_size', 'resolution', 'dtype', 'channels_last',
                                          'repeats', 'stem_kernel')} == dict(
        device_type='cpu', threads=1, batch_size=2, resolution=32, dtype='float32', channels_last=True, repeats=1,
        stem_kernel=3)
    table.save(tmp_path / 'table.json')
    assert type(table).load(tmp_path / 'table.json') == table


def test_torch_is_left_as_it_was():
    state = torch.random.get_rng_state()
    threads = torch.get_num_threads()
    told = measure(threads=threads + 1).provenance
    assert told['threads'] == threads + 1 and torch.get_num_threads() == threads and torch.is_grad_enabled()
    assert torch.equal(torch.random.get_rng_state(), state)


@pytest.mark.parametrize('space, at_most', [
    (DATA_SPACE, 9),
    (tiny.SPACE, 4),
    (ArchSpace(stem=[4], widths=[[4]] * 4, depths=[[1]] * 4), 1),
    (ArchSpace(stem=[4, 8], widths=[[4, 8, 12], [4], [4, 8, 12, 16], [4, 8, 12]], depths=[[1], [1, 2], [3], [1, 9]]), 14),
])
def test_a_few_archs_hold_every_block(space, at_most):
    archs = covering_archs(space)
    assert {block for arch in archs for block in blocks_of(arch)} == set(blocks_of_space(space))
    assert len(archs) == len(set(archs)) <= at_most
    for arch in archs:
        space.check_fits(arch)


@pytest.mark.parametrize('dtype', ['float32', 'bfloat16'])
@pytest.mark.parametrize('stem_kernel', [7, 3])
def test_what_is_timed_is_the_static_network(stem_kernel, dtype):
    bench = _Bench(stem_kernel, 'cpu', 2, 33, dtype, 1)
    network = bench.network(Arch.parse('4-4x2-8x1-8x3-16x1'))
    reference = SubnetResNet('4-4x2-8x1-8x3-16x1', stem_kernel=stem_kernel).to(getattr(torch, dtype)).eval()
    reference.load_state_dict(network.state_dict(), strict=True)
    inputs = []
    hook = network.conv1.register_forward_hook(lambda module, args, out: inputs.append(args[0]))
    with torch.no_grad():
        assert bench.time([network]).shape == (3, 1)
        outs = network(inputs[0])
        for out, expected in zip(outs, reference(inputs[0]), strict=True):
            assert torch.equal(out, expected) and out.isfinite().all()
    hook.remove()
    assert inputs[0].shape == (2, 3, 33, 33) and inputs[0].is_contiguous(memory_format=torch.channels_last)
    assert not any(module.training for module in network.modules())


def test_blocks_run_one_after_another_on_real_sizes():
    bench = _Bench(7, 'cpu', 1, 64, 'float32', 1)
    seen = []

    def part(x):
        seen.append(tuple(x.shape))
        return x[..., ::2]

    times = bench.time([part, part])
    assert times.shape == (3, 2) and (times >= 0).all()
    assert seen == [(1, 3, 64, 64), (1, 3, 64, 32)] * 4  # three passes and one before them


def test_networks_share_what_they_have_in_common():
    bench = _Bench(7, 'cpu', 1, 32, 'float32', 1)
    one, other = (bench.network(Arch.parse(text)) for text in ('4-4x2-8x1-8x2-16x1', '4-4x3-8x1-16x2-16x1'))
    assert one.conv1 is other.conv1 and one.layer1[1] is other.layer1[1] and one.layer2[0] is other.layer2[0]
    assert other.layer1[2] is not other.layer1[1]  # as in a real network, each block has weights of its own
    assert one.layer3[0] is not other.layer3[0]


def test_the_check_compares_sums_with_whole_networks(table):
    rows, summary = check_latency(table, tiny.SPACE, num_archs=6, seed=3, repeats=1)
    archs = [Arch.parse(text) for text in rows['arch']]
    assert len(set(archs)) == 6 and all(arch in tiny.SPACE for arch in archs)
    assert rows['predicted_ms'].tolist() == [table.of(arch) for arch in archs]
    assert (rows['measured_ms'] > 0).all()
    np.testing.assert_allclose(rows['error'], rows['predicted_ms'] / rows['measured_ms'] - 1)
    assert summary.pop('spread') >= 0 and summary == dict(num_archs=6, seed=3, repeats=1, **summarise(rows))
    again, _ = check_latency(table, tiny.SPACE, num_archs=6, seed=3, repeats=1)
    assert again['arch'].tolist() == rows['arch'].tolist()
    everything, summary = check_latency(table, tiny.SPACE, num_archs=99, repeats=1)
    assert sorted(everything['arch']) == sorted(map(str, tiny.SPACE)) and summary['num_archs'] == 32


def test_the_summary():
    predicted, measured = [10.0, 22.0, 27.0, 40.0], [10.0, 20.0, 30.0, 25.0]
    rows = pd.DataFrame(dict(predicted_ms=predicted, measured_ms=measured, error=[0.0, 0.1, -0.1, 0.6]))
    assert summarise(rows) == pytest.approx(dict(median_abs_error=0.1, max_abs_error=0.6, mean_error=0.15, spearman=0.8))
    assert spearmanr(predicted, measured).statistic == pytest.approx(0.8)
    assert summarise(rows[:2])['spearman'] is None
    assert summarise(rows.assign(predicted_ms=1.0))['spearman'] is None


@pytest.mark.parametrize('change, message', [
    (dict(device='cuda'), 'no GPU'),
    (dict(device='tpu'), "device is 'tpu'; use cpu or cuda"),
    (dict(dtype='float16'), "dtype is 'float16'"),
    (dict(dtype='int8'), "dtype is 'int8'"),
    (dict(batch_size=0), 'batch_size is 0'),
    (dict(resolution=0), 'resolution is 0'),
    (dict(resolution=-32), 'resolution is -32'),
    (dict(threads=0), 'threads is 0'),
    (dict(repeats=0), 'repeats is 0'),
    (dict(repeats=1.5), 'repeats is 1.5'),
    (dict(stem_kernel=5), 'stem_kernel is 5'),
])
def test_bad_conditions_are_user_errors(change, message, monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    with pytest.raises(UserError, match=message) as info:
        measure(**change)
    assert '\n' not in str(info.value)


def test_a_check_elsewhere_or_of_another_space_is_refused(table):
    other = dataclasses.replace(table, provenance=dict(table.provenance, device='another processor'))
    with pytest.raises(UserError, match="measured on 'another processor' and this is"):
        check_latency(other, tiny.SPACE, repeats=1)
    with pytest.raises(UserError, match='of the blocks of the space'):
        check_latency(table, DATA_SPACE, repeats=1)
    with pytest.raises(UserError, match='num_archs is 0'):
        check_latency(table, tiny.SPACE, num_archs=0)


@pytest.mark.gpu
@pytest.mark.parametrize('dtype', ['float32', 'bfloat16', 'float16'])
def test_on_the_gpu(dtype):
    table = measure(device='cuda', dtype=dtype)
    assert list(table.milliseconds) == blocks_of_space(tiny.SPACE)
    rows, _ = check_latency(table, tiny.SPACE, num_archs=4, repeats=1)
    assert (rows['measured_ms'] > 0).all() and table.provenance['device'] == torch.cuda.get_device_name()
