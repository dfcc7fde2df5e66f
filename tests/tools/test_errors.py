"""What a user can do wrong: each time exit status 1 and one line on stderr that begins with 'error: '."""

import os
import pathlib
import pickle
import shutil
import subprocess
import sys

import pytest
import torch
from PIL import Image

from gaia_ssl import ArchSpace, cli
from gaia_ssl.checkpoint import load_checkpoint
from gaia_ssl.errors import UserError
from tests import tiny


@pytest.fixture
def paths(tmp_path):
    class Paths:
        root = tmp_path
        data = tiny.photos(tmp_path / 'data', 8)
        config = tiny.write_config(tmp_path / 'tiny.py', data, epochs=1, batch_size=4)
        checkpoint = tiny.save_supernet(tmp_path / 'supernet.pth')
        out = tmp_path / 'out'

    return Paths


def contents(folder: pathlib.Path) -> list[str]:
    return sorted(path.name for path in folder.rglob('*')) if folder.exists() else []


SMALL = '4-4x1-8x1-8x1-16x1'


class Exploit:

    def __init__(self, path: pathlib.Path) -> None:
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path), )


def bad_checkpoints(root: pathlib.Path) -> dict[str, str]:
    """Writes them; name -> a part of the message."""
    whole = tiny.save_supernet(root / 'whole.pth').read_bytes()
    (root / 'truncated.pth').write_bytes(whole[:len(whole) // 2])
    (root / 'empty.pth').write_bytes(b'')
    (root / 'text.pth').write_text('no checkpoint')
    torch.save(dict(state_dict={}, exploit=Exploit(root / 'executed')), root / 'exploit.pth')
    (root / 'pickle.pth').write_bytes(pickle.dumps(Exploit(root / 'executed')))
    torch.save([1, 2], root / 'list.pth')
    torch.save(dict(state_dict={'conv1.weight': torch.zeros(1)}), root / 'other.pth')
    torch.save(dict(state_dict={}, meta=dict(config='import os')), root / 'config.pth')
    return dict(
        missing='no such checkpoint', truncated='cut short', empty='cut short', text='refused', config='refused',
        exploit='refused', pickle='refused', list='holds a list', other='not a checkpoint of a gaia_ssl supernet')


def test_bad_checkpoints(tool, paths):
    for name, message in bad_checkpoints(paths.root).items():
        path = paths.root / f'{name}.pth'
        assert message in tool('export', path, SMALL, paths.out, '--data', paths.data), name
        assert message in tool('search', paths.config, path, '--work-dir', paths.out), name
        assert message in tool('evaluate', path, '--data', paths.data), name
        if name != 'other':  # a resume needs no description of the space
            assert message in tool('train', paths.config, '--resume', path, '--work-dir', paths.out), name
        assert not (paths.root / 'executed').exists()
    assert not [name for name in contents(paths.out) if name.endswith(('.csv', '.pth'))]


def test_the_exploit_would_work(tmp_path):
    """The oracle of the test above."""
    pickle.loads(pickle.dumps(Exploit(tmp_path / 'executed')))
    assert (tmp_path / 'executed').is_dir()


def test_a_checkpoint_of_another_space(tool, paths):
    other = ArchSpace(stem=(4, ), widths=((4, ), (8, ), (8, ), (16, )), depths=((1, ), ) * 4)
    checkpoint = tiny.save_supernet(paths.root / 'other.pth', space=other)
    line = tool('search', paths.config, checkpoint, '--work-dir', paths.out)
    assert 'trained on the space' in line and 'of 1 archs' in line and 'of 32' in line


def test_bad_archs(tool, paths):
    export = 'export', paths.checkpoint
    for arch, message in (('64-64x3', 'is not an arch'), ('9-4x1-8x1-8x1-16x1', 'larger than the supernet'),
                          ('0-4x1-8x1-8x1-16x1', 'positive integers'), ('', 'is not an arch')):
        assert message in tool(*export, arch, paths.out, '--data', paths.data)
    assert 'is not an arch' in tool('search', paths.config, paths.checkpoint, '--work-dir', paths.out, '--cfg-options',
                                    "test_cfg.archs=['1-2']")
    assert 'larger than the supernet' in tool('evaluate', paths.checkpoint, '--arch', '9-4x1-8x1-8x1-16x1', '--data',
                                              paths.data)
    assert not (paths.out / 'backbone.pth').exists()


def test_bad_image_folders(tool, paths):
    empty = paths.root / 'empty'
    empty.mkdir()
    for folder, message in ((empty, 'no image in'), (paths.root / 'nowhere', 'no such folder')):
        assert message in tool('export', paths.checkpoint, SMALL, paths.out, '--data', folder)
        assert message in tool('search', paths.config, paths.checkpoint, '--work-dir', paths.out, '--cfg-options',
                               f'test_dataloader.dataset.data_root={folder}')
        assert message in tool('train', paths.config, '--work-dir', paths.out, '--cfg-options',
                               f'train_dataloader.dataset.data_root={folder}')


@pytest.mark.parametrize('kind', ['PNG', 'JPEG'])
def test_too_many_unreadable_images(tool, paths, kind):
    """The decoders' own remarks on them are no lines of the tool's."""
    with Image.open(paths.data / '002.png') as picture:
        picture.resize((200, 200)).save(paths.data / '002.png', kind)
    whole = (paths.data / '002.png').read_bytes()
    (paths.data / '002.png').write_bytes(whole[:len(whole) // 2])
    for command in (('export', paths.checkpoint, SMALL, paths.out, '--data', paths.data, '--resolution', 32),
                    ('search', paths.config, paths.checkpoint, '--work-dir', paths.out),
                    ('train', paths.config, '--work-dir', paths.out)):
        assert '1 of 8 images (12.5%) cannot be read: ' in (line := tool(*command)) and '002.png' in line


def test_configs(tool, paths):
    assert 'no such config file' in tool('train', paths.root / 'nothing.py')
    assert 'no such config file' in tool('search', paths.root / 'nothing.py', paths.checkpoint)
    (paths.root / 'broken.py').write_text('model = dict(\n')
    assert 'not a config' in tool('train', paths.root / 'broken.py')


def test_a_search_of_an_empty_group_or_unknown_task(tool, paths):
    search = 'search', paths.config, paths.checkpoint, '--work-dir', paths.out, '--cfg-options'
    assert 'no arch to score lies in the group 1-2G' in tool(*search, 'test_cfg.group_edges=[1e9,2e9]')
    assert "'c1' is not a task" in tool(*search, "test_cfg.tasks=['c1']")


def test_a_batch_larger_than_the_data(tool, paths):
    line = tool('train', paths.config, '--work-dir', paths.out, '--cfg-options', 'train_dataloader.batch_size=9')
    assert 'batch of 9 on 1 processes is larger than the data of 8 images' in line


def test_a_used_output_folder(tool, paths):
    train = 'train', paths.config, '--work-dir', paths.root / 'train'
    search = 'search', paths.config, paths.checkpoint, '--work-dir', paths.root / 'search'
    export = 'export', paths.checkpoint, SMALL, paths.root / 'export', '--data', paths.data, '--resolution', 32
    for command, result in ((train, 'epoch_1.pth'), (search, 'ranking.csv'), (export, 'backbone.pth')):
        path = paths.root / command[0] / result
        assert tool(*command) is None
        before = path.stat().st_mtime_ns
        line = tool(*command)
        assert 'already holds' in line and '--overwrite' in line
        assert path.stat().st_mtime_ns == before
        assert tool(*command, '--overwrite') is None
        assert path.stat().st_mtime_ns > before
    checkpoint, own = paths.root / 'train' / 'epoch_1.pth', paths.root / 'train' / 'pretrained.pth'
    own.write_bytes(checkpoint.read_bytes())
    assert 'larger than the data' in tool(*train, '--overwrite', '--cfg-options', 'train_dataloader.batch_size=9')
    assert 'would be removed' in tool(*train, '--overwrite', '--cfg-options', f'load_from={checkpoint}')
    assert checkpoint.is_file()
    assert tool(*train, '--overwrite', '--cfg-options', 'train_dataloader.batch_size=2') is None
    notes = paths.root / 'search' / 'scores' / 'notes.txt'
    notes.touch()
    assert tool(*search, '--overwrite') is None
    assert own.is_file() and notes.is_file()
    assert 'the config ends at iteration 2' in tool(*train, '--resume')
    assert tool(*train, '--resume', '--cfg-options', 'train_dataloader.batch_size=2') is None
    assert tool(*search, '--resume') is None
    assert 'is a file' in tool('export', paths.checkpoint, SMALL, paths.config, '--data', paths.data)


def test_training_with_amp_on_the_cpu(tool, paths):
    assert tool('train', paths.config, '--work-dir', paths.out, '--amp') is None
    state = load_checkpoint(paths.out / 'epoch_1.pth')['state_dict']
    assert all(value.dtype != torch.bfloat16 for value in state.values())
    text = next(paths.out.glob('*/vis_data/config.py')).read_text()
    assert 'AutocastOptimWrapper' in text or torch.cuda.is_available()


def test_errors_in_a_real_process_and_in_its_workers(paths):
    """One line even where a data loader's worker raised it, and no other line on stderr."""
    for path in paths.data.iterdir():
        path.write_text('no picture')
    config = tiny.write_config(paths.root / 'workers.py', paths.data, epochs=1, batch_size=4, workers=2)
    result = tiny.run_tool('train.py', config, '--work-dir', paths.out)
    lines = result.stderr.splitlines()
    assert result.returncode == 1 and len(lines) == 1, result.stderr
    assert lines[0].startswith('error: ImageFolder: none of the 8 images in ')
    result = tiny.run_tool('export.py', paths.checkpoint, 'nonsense', paths.out, '--data', paths.data)
    assert result.returncode == 1 and result.stderr.startswith("error: 'nonsense' is not an arch")
    assert result.stderr.count('\n') == 1


def test_the_message_of_a_worker_is_its_last_line(capsys):
    def main():
        raise UserError('Caught UserError in DataLoader worker process 0.\nOriginal Traceback:\n'
                        '  File "x.py", line 1, in f\ngaia_ssl.errors.UserError: the folder: a:b is empty\n')

    with pytest.raises(SystemExit) as info:
        cli.run(main)
    assert info.value.code == 1 and capsys.readouterr().err == 'error: the folder: a:b is empty\n'


def test_other_errors_keep_their_traceback():
    def main():
        raise ValueError('a bug')

    with pytest.raises(ValueError, match='a bug'):
        cli.run(main)


@pytest.mark.skipif(shutil.which('bash') is None, reason='needs bash')
@pytest.mark.parametrize('arguments', [[], ['config.py']])
@pytest.mark.parametrize('name', ['dist_train.sh', 'dist_search.sh', 'slurm_train.sh'])
def test_shell_tools_tell_their_usage(name, arguments):
    result = tiny.run_tool(name, *arguments)
    assert result.returncode != 0
    assert f'usage: bash tools/{name}' in result.stderr and result.stderr.count('\n') == 1


@pytest.mark.parametrize('name', ['dist_train.sh', 'dist_search.sh'])
def test_shell_tools_start_as_many_processes_as_there_are_gpus(tmp_path, name):
    """With a python that says how it is called, on a machine of two GPUs."""
    for program, script in (('nvidia-smi', 'echo one; echo two'), ('python', 'echo "$@"')):
        (tmp_path / program).write_text(f'#!/bin/sh\n{script}\n')
        (tmp_path / program).chmod(0o755)
    path = os.pathsep.join([str(tmp_path), os.environ['PATH']])
    words = ['config.py', *(['a.pth'] if name == 'dist_search.sh' else [])]
    result = tiny.run_tool(name, *words, 2, '--amp', PATH=path)
    called = result.stdout.splitlines()[-1]
    assert 'tools/launch.py --nproc_per_node=2 --max_restarts=0 --standalone' in called and called.endswith(
        f"{' '.join(words)} --launcher pytorch --amp")
    result = tiny.run_tool(name, *words, 2, PATH=path, NNODES='2', NODE_RANK='1', MASTER_ADDR='host')
    assert '--nnodes=2 --node_rank=1 --master_addr=host --master_port=29500' in result.stdout
    assert '--standalone' not in tiny.run_tool(name, *words, 2, PATH=path, PORT='123').stdout
    result = tiny.run_tool(name, *words, 5, PATH=path)
    assert result.returncode == 1 and result.stderr.count('\n') == 1 and 'NNODES=3' in result.stderr


@pytest.mark.slow
def test_an_error_of_several_processes_is_one_line(paths):
    result = tiny.run_tool('dist_train.sh', paths.config, 2, '--work-dir', paths.out, '--data', paths.root / 'nowhere')
    assert result.returncode == 1 and result.stderr == f"error: --data {paths.root / 'nowhere'}: no such folder\n"


def test_what_would_train_otherwise_than_meant(tool, paths):
    command = 'train', paths.config, '--work-dir', paths.out
    assert "'lr': not KEY=VALUE" in tool(*command, '--cfg-options', 'model.queue_len=20', 'lr')
    assert "did you mean 'optim_wrapper'?" in tool(*command, '--cfg-options', 'optim_wraper.optimizer.lr=1')
    assert 'add auto_scale_lr=dict' in tool(*command, '--auto-scale-lr')
    assert "model.backbone.norm_cfg=dict(type='SyncBN')" in tool(*command, '--cfg-options', 'sync_bn=torch')
    assert not paths.out.exists()


def test_a_batch_norm_of_one_value_a_channel(tool, paths):
    """Images of 40 px come down to 2x2 with a stem of stride 2; with one of stride 4 a single image gives one position."""
    line = tool('train', paths.config, '--work-dir', paths.out, '--cfg-options', 'model.backbone.stem_kernel=7',
                'train_dataloader.batch_size=5')
    assert 'one value a channel' in line and 'model.bn_splits' in line


@pytest.mark.slow
def test_a_user_without_a_name(paths):
    """As ``docker run --user 12345``."""
    unshare = 'unshare', '-U', '--map-user=12345', '--map-group=12345'
    if not shutil.which('unshare') or tiny.run(*unshare, 'true').returncode:
        pytest.skip('no right to run as another user')
    nameless = {name: value for name, value in os.environ.items() if name not in ('USER', 'LOGNAME', 'LNAME', 'USERNAME')}
    run = subprocess.run([*unshare, sys.executable, tiny.ROOT / 'tools' / 'search.py', '--help'], env=nameless, text=True,
                         capture_output=True)
    assert run.returncode == 0 and 'usage' in run.stdout, run.stderr
