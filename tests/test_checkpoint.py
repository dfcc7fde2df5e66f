import collections
import hashlib
import os
import pathlib
import pickle
import zipfile

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer

from gaia_ssl.checkpoint import file_hash, load_checkpoint, save_checkpoint
from gaia_ssl.errors import UserError
from gaia_ssl.export.hand_over import check_out, export_subnet
from gaia_ssl.space import Arch


def refused(path: str | os.PathLike, match: str = '') -> None:
    with pytest.raises(UserError, match=match) as info:
        load_checkpoint(path)
    assert str(info.value).startswith(f'{path}: ') and '\n' not in str(info.value)


def content() -> dict:
    return dict(state_dict=collections.OrderedDict(weight=torch.arange(500.), count=torch.tensor(3)),
                meta=dict(epoch=3, gaia_ssl=dict(arch='4-4x1-4x1-4x1-4x1', mean=[0.5])))


def test_round_trip(tmp_path):
    path = tmp_path / 'runs' / 'a.pth'
    save_checkpoint(content(), path)
    assert os.listdir(path.parent) == ['a.pth']
    loaded = load_checkpoint(str(path))
    assert loaded['meta'] == content()['meta']
    assert torch.equal(loaded['state_dict']['weight'], torch.arange(500.))


def test_reads_what_mmengine_puts_into_its_checkpoints(tmp_path):
    history = HistoryBuffer()
    history.update(1.5)
    further = dict(message_hub=dict(log_scalars=dict(loss=history)), state=np.random.get_state(), number=np.float64(3))
    torch.save({**content(), **further}, tmp_path / 'a.pth')
    loaded = load_checkpoint(tmp_path / 'a.pth')
    assert loaded['message_hub']['log_scalars']['loss'].current() == 1.5 and loaded['number'] == 3


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / 'a.pth'
    save_checkpoint(content(), path)
    before = path.read_bytes()
    with pytest.raises((pickle.PicklingError, AttributeError, TypeError)):
        save_checkpoint(dict(state_dict=lambda: None), path)
    assert path.read_bytes() == before and os.listdir(tmp_path) == ['a.pth']


class Runs:
    """Pickled, a call of ``function``."""

    def __init__(self, function, *args):
        self.call = function, args

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize('legacy', [False, True])
@pytest.mark.parametrize('place', ['top', 'meta', 'state_dict'])
@pytest.mark.parametrize('kind', ['call', 'method', 'eval'])
def test_code_is_refused_and_does_not_run(tmp_path, kind, place, legacy):
    trap = tmp_path / 'ran'
    bomb = dict(
        call=Runs(os.mkdir, str(trap)),
        method=Runs(pathlib.Path.mkdir, trap),
        eval=Runs(eval, f'__import__("os").mkdir({str(trap)!r})'))[kind]
    checkpoint = content()
    (checkpoint if place == 'top' else checkpoint[place])['hook'] = bomb
    path = tmp_path / 'a.pth'
    torch.save(checkpoint, path, _use_new_zipfile_serialization=not legacy)
    refused(path, 'refused')
    assert not trap.exists()
    torch.load(path, weights_only=False)  # the trap is one: a plain load falls into it
    assert trap.exists()


def test_getattr_which_mmengines_checkpoints_need_leads_to_no_call(tmp_path):
    trap, path = tmp_path / 'ran', tmp_path / 'a.pth'

    def text(value: str) -> bytes:
        return b'X' + len(value).to_bytes(4, 'little') + value.encode()

    def attribute(thing: bytes, name: str) -> bytes:
        return b'cbuiltins\ngetattr\n(' + thing + text(name) + b'tR'

    def call(function: bytes, argument: str) -> bytes:
        return function + b'(' + text(argument) + b'tR'

    reached = attribute(attribute(b'cmmengine.logging.history_buffer\nHistoryBuffer\n', '__init__'), '__globals__')
    assert pickle.loads(reached + b'.')['HistoryBuffer'] is HistoryBuffer  # getattr alone comes as far as this
    builtins = call(attribute(reached, '__getitem__'), '__builtins__')
    bomb = call(call(attribute(builtins, '__getitem__'), 'eval'), f'__import__("os").mkdir({str(trap)!r})')
    path.write_bytes(bomb + b'.')
    refused(path, 'refused')
    assert not trap.exists()
    pickle.loads(path.read_bytes())
    assert trap.exists()


@pytest.mark.parametrize('legacy', [False, True])
def test_a_file_cut_anywhere_is_a_user_error(tmp_path, legacy):
    whole = tmp_path / 'whole.pth'
    torch.save(content(), whole, _use_new_zipfile_serialization=not legacy)
    data = whole.read_bytes()
    for length in [0, 1, 2, 3, 10, *range(50, len(data) - 1, len(data) // 40), len(data) - 1]:
        cut = tmp_path / 'cut.pth'
        cut.write_bytes(data[:length])
        refused(cut)


def test_a_file_with_damaged_bytes_is_a_user_error_or_reads(tmp_path):
    whole = tmp_path / 'whole.pth'
    torch.save(content(), whole)
    with zipfile.ZipFile(whole) as archive:
        names = [name for name in archive.namelist() if name.endswith('data.pkl')]
        start = archive.getinfo(names[0]).header_offset
    rng = np.random.default_rng(0)
    for _ in range(60):
        data = bytearray(whole.read_bytes())
        for place in rng.integers(start, start + 700, size=3):
            data[place] ^= int(rng.integers(1, 256))
        damaged = tmp_path / 'damaged.pth'
        damaged.write_bytes(bytes(data))
        try:
            load_checkpoint(damaged)
        except UserError as error:
            assert '\n' not in str(error)


OTHER_FILES = dict(
    empty=b'', text=b'this is a text file\nof two lines', png=b'\x89PNG\r\n\x1a\n' + bytes(100), zeros=bytes(1000),
    zip=b'PK\x03\x04' + bytes(100), pickle=pickle.dumps('a text'))


@pytest.mark.parametrize('data', OTHER_FILES.values(), ids=OTHER_FILES)
def test_other_files_are_user_errors(tmp_path, data):
    path = tmp_path / 'a.pth'
    path.write_bytes(data)
    refused(path)


def test_missing_files_and_folders(tmp_path):
    refused(tmp_path / 'absent.pth', 'no such checkpoint file')
    refused(tmp_path, 'no such checkpoint file')


@pytest.mark.parametrize('value', [torch.zeros(3), [1, 2], 'text', None, 5])
def test_values_that_are_no_checkpoint(tmp_path, value):
    torch.save(value, tmp_path / 'a.pth')
    refused(tmp_path / 'a.pth', 'not a checkpoint')


@pytest.mark.parametrize('meta', [None, [], 'text', torch.zeros(2)])
def test_meta_of_another_kind(tmp_path, meta):
    torch.save(dict(state_dict={}, meta=meta), tmp_path / 'a.pth')
    refused(tmp_path / 'a.pth', 'meta')


def test_a_config_in_meta_is_refused_because_mmengine_would_run_it(tmp_path):
    torch.save(dict(state_dict={}, meta=dict(config='import os')), tmp_path / 'a.pth')
    refused(tmp_path / 'a.pth', "meta holds a 'config'")


def test_hash(tmp_path):
    data = os.urandom((1 << 20) + 17)
    (tmp_path / 'a').write_bytes(data)
    assert file_hash(tmp_path / 'a') == hashlib.sha256(data).hexdigest()


def test_a_file_that_cannot_be_read_is_not_called_broken(tmp_path):
    (tmp_path / 'a.pth').symlink_to('/proc/self/mem')  # opens, but reading from its start fails
    with pytest.raises(UserError, match=r'a.pth: cannot be read \(Input/output error\)$'):
        load_checkpoint(tmp_path / 'a.pth')


def test_a_loop_of_links(tmp_path):
    (tmp_path / 'a.pth').symlink_to(tmp_path / 'a.pth')
    with pytest.raises(UserError, match='a.pth: no such checkpoint file'):
        load_checkpoint(tmp_path / 'a.pth')
    with pytest.raises(UserError, match='a.pth: no such checkpoint file'):
        export_subnet(str(tmp_path / 'a.pth'), Arch.parse('4-4x1-8x1-8x1-16x1'), str(tmp_path), tmp_path / 'out')
    check_out(tmp_path / 'out', False, tmp_path / 'a.pth')


class _Attribute:
    """Pickled as a call of ``getattr``."""

    def __init__(self, owner, name):
        self.call = getattr, (owner, name)

    def __reduce__(self):
        return self.call


def test_a_file_gets_at_no_attributes_but_a_log_buffers_methods(tmp_path):
    """mmengine's list of what is safe holds ``getattr`` itself, by which a file could change a module's globals."""
    path = tmp_path / 'attributes.pth'
    torch.save(dict(meta={}, method=_Attribute(HistoryBuffer, 'mean')), path)
    assert load_checkpoint(path)['method'] is HistoryBuffer.mean
    for attribute in (_Attribute(_Attribute(HistoryBuffer, 'mean'), '__globals__'), _Attribute(HistoryBuffer, '__init__'),
                      _Attribute(slice, 'indices')):
        torch.save(dict(meta={}, method=attribute), path)
        with pytest.raises(UserError, match='refused, because .* asks for the attribute') as info:
            load_checkpoint(path)
        assert '\n' not in str(info.value)
