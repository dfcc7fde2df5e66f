"""On checkpoints in the layout of the reference code, made by modules put together as its MoCo puts them together."""

import pathlib

import pandas as pd
import pytest
import torch
import torchvision
from torch import nn

from gaia_ssl import cli
from gaia_ssl.checkpoint import load_checkpoint
from gaia_ssl.errors import UserError
from gaia_ssl.models.algorithms import SupernetMoCo
from gaia_ssl.models.reference_checkpoint import convert_reference
from gaia_ssl.models.supernet_meta import student_backbone
from gaia_ssl.search.evaluator import ForwardEvaluator
from tests import tiny


class ReferenceMoCo(nn.Module):
    """Student and teacher as (backbone, neck), the student's backbone under a second name, and the queue."""

    def __init__(self, model: SupernetMoCo) -> None:
        super().__init__()
        self.encoder_q = nn.Sequential(model.backbone, model.neck)
        self.encoder_k = nn.Sequential(model.teacher['backbone'], model.teacher['neck'])
        self.backbone = self.encoder_q[0]
        self.register_buffer('queue', model.queue)
        self.register_buffer('queue_ptr', model.queue_ptr)


def reference_state(seed: int = 1) -> dict[str, torch.Tensor]:
    model = tiny.supernet(seed)
    model.queue_ptr[0] = 7
    return {name: value.clone() for name, value in ReferenceMoCo(model).state_dict().items()}


def save_reference(path: pathlib.Path, state: dict[str, torch.Tensor]) -> pathlib.Path:
    """As its runner writes it, with the training's config as text."""
    torch.save(dict(meta=dict(epoch=200, iter=100000, config='model = dict()', openselfsup_version='0.3.0'), state_dict=state,
                    optimizer=dict(state={}, param_groups=[dict(lr=0.03)])), path)
    return path


def convert(state: dict[str, torch.Tensor]) -> dict:
    return convert_reference(dict(state_dict=state), tiny.supernet(2), 'a.pth')


@pytest.mark.parametrize('prefix', ['', 'module.', 'module.module.'])
def test_every_weight_finds_its_place(prefix):
    state = {prefix + name: value for name, value in reference_state().items()}
    expected = tiny.supernet(1)
    expected.queue_ptr[0] = 7
    converted = convert(state)
    assert tiny.equal(dict(converted['state_dict']), dict(expected.state_dict()))
    assert tiny.equal(student_backbone(converted, 'a.pth').state_dict(), expected.backbone.state_dict())


def test_scores_are_those_of_the_source():
    model = tiny.supernet(2)
    convert_reference(dict(state_dict=reference_state()), model, 'a.pth')
    images, archs = tiny.images(4), list(tiny.SPACE)[::5]
    features = ('c2', 'c3', 'c4', 'c5', 'z')
    scores = [ForwardEvaluator(net, features).score(images, archs) for net in (model, tiny.supernet(1), tiny.supernet(2))]
    assert torch.equal(scores[0], scores[1]) and not torch.allclose(scores[0], scores[2], atol=1e-3)


def test_the_backbone_has_torchvisions_names():
    """So has the reference's, whose largest net is the bottleneck ResNet of depths 4, 6, 29, 4."""
    depths = tiny.SPACE.max.depths
    theirs = torchvision.models.ResNet(torchvision.models.resnet.Bottleneck, list(depths)).state_dict()
    names = {name.removeprefix('encoder_q.0.') for name in reference_state() if name.startswith('encoder_q.0.')}
    assert names == {name for name in theirs if not name.startswith('fc.')}


def change_copy(state: dict[str, torch.Tensor]) -> None:
    state['backbone.conv1.weight'] = state['backbone.conv1.weight'] + 1


def change_all_shapes(state: dict[str, torch.Tensor]) -> None:
    state['queue'] = torch.zeros(8, 64)
    state['encoder_k.0.conv1.weight'] = torch.zeros(4, 3, 3, 3)


@pytest.mark.parametrize('change, match', [
    (lambda s: s.pop('encoder_k.0.layer3.0.conv2.weight'), r': 1 missing \(encoder_k.0.layer3.0.conv2.weight\)$'),
    (lambda s: s.pop('queue_ptr'), r': 1 missing \(queue_ptr\)$'),
    (lambda s: s.update({f'encoder_q.0.layer1.{i}.conv1.weight': torch.zeros(1) for i in range(2, 6)}),
     r': 4 left over \(encoder_q.0.layer1.2.conv1.weight, .*3.conv1.weight, .*4.conv1.weight, …\)$'),
    (lambda s: s.update({'head.fc.weight': torch.zeros(1), 'encoder_q.2.weight': torch.zeros(1)}),
     r': 2 left over \(head.fc.weight, encoder_q.2.weight\)$'),
    (lambda s: s.update({'neck.mlp.0.weight': torch.zeros(1)}), r'1 left over \(neck.mlp.0.weight\)'),
    (change_copy, r': 1 unlike their second copy \(backbone.conv1.weight\)$'),
    (lambda s: s.update({'backbone.extra': torch.zeros(1)}), r': 1 unlike their second copy \(backbone.extra\)$'),
    (change_all_shapes, r': 2 of another shape (?=.*encoder_k.0.conv1.weight \(4, 3, 3, 3\), in the config \(8, 3, 3, 3\))'
                        r'(?=.*queue \(8, 64\), in the config \(8, 20\))'),
    (lambda s: s.update({'queue': 5}), 'its queue is of type int, not a tensor'),
    (lambda s: [s.pop(name) for name in list(s) if name.startswith('encoder_q')],
     r"not a checkpoint of the reference code's MoCo, whose weights are named encoder_q.… and encoder_k"),
    (lambda s: s.clear(), r'\(here: nothing\)'),
])
def test_what_does_not_fit_is_listed(change, match):
    state = reference_state()
    change(state)
    with pytest.raises(UserError, match=match) as info:
        convert(state)
    assert str(info.value).startswith('a.pth: ') and '\n' not in str(info.value)


@pytest.fixture
def tool(monkeypatch, capsys):
    """Runs a tool in this process; its error line, or None."""
    monkeypatch.setenv('TORCH_FORCE_WEIGHTS_ONLY_LOAD', '1')  # put back afterwards, whatever the tool sets
    monkeypatch.setenv('LOCAL_RANK', '0')

    def call(name: str, *arguments: object) -> str | None:
        monkeypatch.setattr('sys.argv', [f'tools/{name}.py', *map(str, arguments)])
        try:
            cli.run(tiny.load_tool(name).main)
        except SystemExit:
            return capsys.readouterr().err
        return None

    return call


@pytest.mark.slow
def test_search_and_export_take_the_converted_checkpoint(tmp_path, tool):
    data = tiny.photos(tmp_path / 'data', 8)
    config = tiny.write_config(tmp_path / 'tiny.py', data)
    source = save_reference(tmp_path / 'source.pth', reference_state())
    native, converted = tiny.save_supernet(tmp_path / 'native.pth', seed=1), tmp_path / 'out' / 'converted.pth'
    assert tool('convert_reference', source, converted, '--config', config) is None
    assert load_checkpoint(converted)['meta']['converted_from']['name'] == 'source.pth'
    tables = []
    for checkpoint in (native, converted):
        work_dir = tmp_path / f'search_{checkpoint.stem}'
        assert tool('search', config, checkpoint, '--work-dir', work_dir) is None
        tables.append(pd.read_csv(work_dir / 'ranking.csv'))
    pd.testing.assert_frame_equal(*tables)
    out = tmp_path / 'export'
    assert tool('export', converted, '5-6x2-7x1-9x1-13x1', out, '--data', data, '--resolution', 32) is None
    assert load_checkpoint(out / 'backbone.pth')['meta']['gaia_ssl']['source'] == 'converted.pth'


def test_what_a_user_can_do_wrong(tmp_path, tool):
    config = tiny.write_config(tmp_path / 'tiny.py', tmp_path)
    source = save_reference(tmp_path / 'source.pth', reference_state())
    out = tmp_path / 'out.pth'
    assert 'no such checkpoint' in tool('convert_reference', tmp_path / 'nothing.pth', out, '--config', config)
    assert 'left over' in tool('convert_reference', source, out, '--config', tiny.write_config(
        tmp_path / 'other.py', tmp_path, model=dict(
            queue_len=20, feat_dim=8, neck=dict(hid_channels=16, out_channels=8), backbone=dict(stem_kernel=3, space=dict(
                stem=[4], widths=[[4], [8], [8], [16]], depths=[[1]] * 4, _delete_=True)))))
    assert 'no SupernetMoCo' in tool('convert_reference', source, out, '--config', tiny.write_config(
        tmp_path / 'foreign.py', tmp_path, model=dict(type='mmpretrain.MoCo')))
    assert not out.exists()
    assert tool('convert_reference', source, out, '--config', config) is None
    before = out.stat().st_mtime_ns
    assert 'exists already; replace a file with --overwrite' in tool('convert_reference', source, out, '--config', config)
    assert 'exists already' in tool('convert_reference', source, tmp_path, '--config', config)
    assert out.stat().st_mtime_ns == before
    assert tool('convert_reference', source, out, '--config', config, '--overwrite') is None
