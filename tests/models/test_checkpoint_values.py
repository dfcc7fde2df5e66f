"""Checkpoints whose entries or weights are broken: one line, at once, and nothing of their size is built."""

import copy
import math

import pytest
import torch

from gaia_ssl import Arch
from gaia_ssl.errors import UserError
from gaia_ssl.export.read_subnet import read_subnet
from gaia_ssl.models import extract_subnet
from gaia_ssl.models.supernet_meta import read_supernet_meta, student_backbone, supernet_meta
from tests import tiny

NO_NUMBER = ['a', None, [], {}, True, math.nan, math.inf, 10**400, torch.ones(1), '1']
WRONG = {
    'method': ['', 'a b', 'x' * 65, 'a\n# b', '{{x}}', 5, None, b'SupernetMoCo', ['x']],
    'stem_kernel': [5, 0, -7, 7.0, '7', None, True, [7], torch.tensor(7), 10**30],
    'to_rgb': ['True', 0, 1, None, [], "{{$V:x|'}}", torch.tensor(True)],
    'mean': [1.0, 'abc', None, [1.0], [1.0] * 2, [1.0] * 4, {}, torch.ones(3), *([1.0, 1.0, bad] for bad in NO_NUMBER)],
    'std': [1.0, [1.0] * 2, [1.0, 1.0, 0.0], [1.0, 1.0, -1.0], *([1.0, 1.0, bad] for bad in NO_NUMBER)],
    'space': [None, 5, [], 'abc', {}, dict(stem=[4], widths=[], depths=[]), dict(tiny.SPACE.to_dict(), further=1),
              *(dict(tiny.SPACE.to_dict(), stem=bad) for bad in (None, 5, 'a', [0], [-4], [4.0], [True], ['4'], [8, 4], [])),
              *(dict(tiny.SPACE.to_dict(), widths=[[8], [8], bad, [16]]) for bad in (8, 'a', [None], [20_000], [10**30])),
              *(dict(tiny.SPACE.to_dict(), depths=[[1], [1], bad, [1]]) for bad in (1, [0], [10**6], [10**5000]))],
}


def wrong_weights() -> dict:
    """Name -> what becomes of a float tensor."""
    return dict(
        whole=lambda value: value.long(), complex=lambda value: value.to(torch.complex64), nan=lambda value: value * math.nan,
        infinite=lambda value: value / 0, sparse=lambda value: value.to_sparse(), text=lambda value: 'a',
        boolean=lambda value: value > 0, number=lambda value: 1.0, shorter=lambda value: value[:1],
        deeper=lambda value: value[None])


@pytest.fixture(scope='module')
def whole() -> dict:
    model = tiny.supernet()
    return dict(state_dict=model.state_dict(), meta=dict(gaia_ssl=supernet_meta(model)))


def refused(checkpoint: dict) -> str:
    with pytest.raises(UserError) as info:
        student_backbone(checkpoint, 'a.pth')
    message = str(info.value)
    assert message.startswith('a.pth: ') and len(message.splitlines()) == 1 and len(message) < 600
    return message


@pytest.mark.parametrize('name', WRONG)
def test_entries_of_a_supernet(whole, name):
    for value in WRONG[name]:
        checkpoint = dict(whole, meta=dict(gaia_ssl=dict(whole['meta']['gaia_ssl'], **{name: value})))
        assert name.split('_')[0] in refused(checkpoint) or name == 'space'
    assert student_backbone(whole, 'a.pth')


@pytest.mark.parametrize('kind', wrong_weights())
def test_weights_of_a_supernet(whole, kind):
    for name in ('conv1.weight', 'bn1.running_var', 'layer2.0.conv2.weight'):
        key = f'backbone.{name}'
        state = dict(whole['state_dict'], **{key: wrong_weights()[kind](whole['state_dict'][key])})
        assert name in refused(dict(whole, state_dict=state))


def test_what_a_file_cannot_hold_is_not_built(whole):
    """Tensors that only look large have no more memory than the file."""
    meta, state = copy.deepcopy(whole['meta']), dict(whole['state_dict'])
    meta['gaia_ssl']['space']['stem'] = [900_000]
    state['backbone.conv1.weight'] = torch.zeros(1).expand(900_000, 3, 3, 3)
    assert 'too few or too small' in refused(dict(state_dict=state, meta=meta))


def test_a_negative_variance(whole):
    key = 'backbone.bn1.running_var'
    assert 'variance below 0' in refused(dict(whole, state_dict={**whole['state_dict'], key: -whole['state_dict'][key]}))


def test_nothing_but_what_was_checked_is_handed_on(whole):
    meta = dict(whole['meta']['gaia_ssl'], further='{{ fileDirname }}')
    assert 'further' not in read_supernet_meta(dict(whole, meta=dict(gaia_ssl=meta)), 'a.pth')


@pytest.mark.parametrize('name', ['arch', 'stem_kernel', 'mean', 'std', 'to_rgb', 'resolution'])
def test_entries_of_an_export(tmp_path, name):
    arch = Arch.parse('4-4x1-8x1-8x1-16x1')
    subnet = extract_subnet(tiny.supernet().backbone, arch)
    meta = dict(arch=str(arch), stem_kernel=3, mean=[0.0] * 3, std=[1.0] * 3, to_rgb=True, resolution=32)
    wrong = WRONG | dict(
        arch=[5, None, '', '4', [], '4-4x1-8x1-8x1', '0-4x1-8x1-8x1-16x1', '4-4x1000000-8x1-8x1-16x1', '{{x}}'],
        resolution=[0, -1, 1e9, '32', None, 10**9, True])
    path = tmp_path / 'backbone.pth'

    def save(**changes) -> str:
        torch.save(dict(state_dict=subnet.state_dict(), meta=dict(gaia_ssl=dict(meta, **changes))), path)
        return str(path)

    assert read_subnet(save())[0].arch == arch
    for value in wrong[name]:
        with pytest.raises(UserError, match=r'backbone.pth: '):
            read_subnet(save(**{name: value}))
