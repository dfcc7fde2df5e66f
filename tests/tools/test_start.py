"""tools/train.py --start and load_from: what a supernet begins with, and what is refused in one line before any work."""

import pytest
import torch
import torchvision

from gaia_ssl import ArchSpace
from gaia_ssl.checkpoint import load_checkpoint
from gaia_ssl.models.pretrained_checkpoint import read_pretrained
from gaia_ssl.models.pretrained_start import start_from
from gaia_ssl.models.supernet_meta import student_backbone
from tests import tiny
from tests.models import layouts
from tests.tools.test_errors import Exploit

SPACE = 'model.backbone.space'
OPTIONS = '--cfg-options', 'model.backbone.stem_kernel=7', 'model.bn_splits=1'
"""For a stem of stride 4 on the tiny images."""


@pytest.fixture
def paths(tmp_path):
    class Paths:
        root = tmp_path
        config = tiny.write_config(tmp_path / 'tiny.py', tiny.photos(tmp_path / 'data', 8), epochs=1, batch_size=4)
        net = layouts.prefixed('backbone.', layouts.resnet().state_dict())
        source = layouts.save(dict(state_dict=net), tmp_path / 'net.pth')
        out = tmp_path / 'out'

    return Paths


def test_a_training_from_any_resnet(tool, paths):
    """At a learning rate of 0 the supernet, student and teacher, stays what it starts as: the source, sorted."""
    command = 'train', paths.config, '--work-dir', paths.out
    options = *OPTIONS, f'{SPACE}=auto', 'optim_wrapper.optimizer.lr=0'
    assert tool(*command, '--start', paths.source, *options) is None
    checkpoint = load_checkpoint(paths.out / 'epoch_1.pth')
    student = student_backbone(checkpoint, 'epoch_1.pth')
    assert student.space == ArchSpace.inside(layouts.ARCH)
    expected = type(student)(student.space)
    start_from(expected, read_pretrained(paths.source))
    for (name, value), other in zip(student.named_parameters(), expected.parameters(), strict=True):
        assert torch.equal(value, other) and torch.equal(value, checkpoint['state_dict'][f'teacher.backbone.{name}']), name
    log = ''.join(path.read_text() for path in paths.out.glob('*/*.log'))
    assert f"Started from {paths.source}: the ResNet {layouts.ARCH}, 318 tensors under 'state_dict.backbone'" in log
    # Its space is in the checkpoint: neither the search nor a resumed run needs the source again.
    (paths.root / 'net.pth').unlink()
    assert tool(*command, '--resume', *options, 'train_cfg.max_epochs=2') is None
    assert (paths.out / 'epoch_2.pth').is_file()
    config = paths.out / 'tiny.py'
    assert tool('search', config, paths.out / 'epoch_2.pth', '--work-dir', paths.root / 'search', '--cfg-options',
                "test_cfg.archs=['4-4x1-8x2-16x3-32x1']", 'test_cfg.group_edges=[1,1e9]') is None


def test_nothing_is_set_by_hand(tool, paths):
    """Trained, resumed and searched: space, teacher and numbers come from the start, the images and the checkpoint."""
    loader = [f'train_dataloader.{option}' for option in ('num_workers=0', 'persistent_workers=False')]
    configs, data = tiny.ROOT / 'configs', ('--data', paths.root / 'data')
    command = 'train', configs / 'data' / 'distill_start.py', *data, '--work-dir', paths.out
    assert 'say --start FILE' in tool(*command, '--cfg-options', *loader)
    assert tool(*command, '--start', paths.source, '--cfg-options', *loader, 'train_cfg.max_epochs=1') is None
    assert load_checkpoint(paths.out / 'epoch_1.pth')['meta']['iter'] == 4  # batches of 2 of 8 images
    assert tool(*command, '--resume', '--cfg-options', *loader, 'train_cfg.max_epochs=2') is None
    supernet = paths.out / 'epoch_2.pth'
    assert load_checkpoint(supernet)['meta']['gaia_ssl']['teacher']['config']['checkpoint'] == str(paths.source)
    options = "test_cfg.archs=['4-4x1-8x2-16x3-32x1']", 'test_cfg.group_edges=[1,1e9]', 'test_dataloader.num_workers=0'
    assert tool('search', configs / 'search' / 'c2-c5_start.py', supernet, *data, '--work-dir', paths.root / 'search',
                '--cfg-options', *options) is None


def sources(paths) -> dict[str, str]:
    """Writes them; name -> a part of the message."""
    whole = (paths.root / 'net.pth').read_bytes()
    (paths.root / 'short.pth').write_bytes(whole[:len(whole) // 2])
    torch.save(torchvision.models.resnet18().state_dict(), paths.root / 'resnet18.pth')
    torch.save(torchvision.models.VisionTransformer(32, 16, 1, 2, 8, 16).state_dict(), paths.root / 'vit.pth')
    torch.save(dict(model=layouts.resnet().state_dict(), more=Exploit(paths.root / 'executed')), paths.root / 'code.pth')
    tiny.save_supernet(paths.root / 'kernel.pth')
    return dict(missing='no such checkpoint file', short='cut short', resnet18='basic blocks', vit='vision transformer',
                code='refused', kernel='its first convolution is 3x3', net='is larger than the supernet')


def test_bad_starts(tool, paths):
    for name, message in sources(paths).items():
        line = tool('train', paths.config, '--work-dir', paths.out, '--start', paths.root / f'{name}.pth', *OPTIONS)
        assert message in line and str(paths.root / name) in line
    command = 'train', paths.config, '--work-dir', paths.out
    assert '--start and --resume' in tool(*command, '--start', paths.source, '--resume')
    assert 'leave one out' in tool(*command, '--start', paths.source, '--cfg-options', f'load_from={paths.root}/kernel.pth')
    assert 'say --start FILE' in tool(*command, '--cfg-options', f'{SPACE}=auto')
    assert 'model.backbone.init_cfg' in tool(*command, '--cfg-options', 'model.init_cfg.type=Pretrained',
                                             f'model.init_cfg.checkpoint={paths.source}')
    assert not (paths.root / 'executed').exists() and not paths.out.exists()


def test_the_line_says_how_to_make_it_fit(tool, paths):
    command = 'train', paths.config, '--work-dir', paths.out, '--start', paths.source, *OPTIONS
    assert (option := f'{SPACE}={layouts.ARCH}') in tool(*command)
    assert tool(*command, option) is None


def test_weights_to_load_that_do_not_fit(tool, paths):
    """mmengine would train on from random weights."""
    tiny.save_supernet(paths.root / 'fits.pth')
    model = tiny.supernet()
    torch.save(dict(state_dict={name: value for name, value in model.state_dict().items() if 'layer4' not in name},
                    meta={}), paths.root / 'part.pth')
    smaller = ArchSpace(**dict(tiny.SPACE.to_dict(), stem=[4]))
    tiny.save_supernet(paths.root / 'other.pth', space=smaller)
    command = 'train', paths.config, '--work-dir', paths.out
    for name, message in (('net', 'are left over (backbone.layer1.2.conv1.weight, …)'),
                          ('part', 'are missing (backbone.layer4.0.conv1.weight, …)'),
                          ('other', 'are of another shape or type (backbone.conv1.weight, …)')):
        path = paths.root / f'{name}.pth'
        line = tool(*command, '--cfg-options', f'load_from={path}')
        assert f"{path}: not a checkpoint of this config's supernet" in line and message in line and f'--start {path}' in line
    assert 'holds no run to go on with' in tool(*command, '--resume', paths.root / 'part.pth')
    assert not list(paths.out.glob('*.pth'))
    assert tool(*command, '--cfg-options', f'load_from={paths.root}/fits.pth') is None
