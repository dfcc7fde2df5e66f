"""Folders whose names look like markup or templates: each tool prints them as they are, or refuses them before any work."""

import pytest

from tests import tiny

ARCH = '4-4x1-8x1-8x1-16x1'
MARKUP = 'o[red]s[/x]'  # swallowed, and an error of rich
TEMPLATE = r"{{$V:x|\',__import__('os').system('touch${IFS}PWNED'),#}}"


@pytest.fixture
def paths(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('COLUMNS', '400')

    class Paths:
        root = tmp_path
        data = tiny.labelled_photos(tmp_path / 'data', train=4, val=3)
        config = tiny.write_config(tmp_path / 'tiny.py', data / 'train', epochs=1, batch_size=4)
        checkpoint = tiny.save_supernet(tmp_path / 'supernet.pth')

    return Paths


def commands(paths, folder) -> dict[str, list]:
    """Tool -> its arguments, to write into ``folder``."""
    num = ['--num-images', 4]
    return dict(
        export=[paths.checkpoint, ARCH, folder, '--for', 'classification', '--data', paths.data],
        search=[paths.config, paths.checkpoint, '--archs', 2, *num, '--work-dir', folder],
        evaluate=[paths.checkpoint, '--data', paths.data, '-k', 3, '--workers', 0, '--work-dir', folder],
        rank_correlation=[paths.config, paths.checkpoint, '--num', 4, *num, '--data', paths.data, '-k', 3, '--resolution', 32,
                          '--resamples', 10, '--work-dir', folder],
        compare_domains=[paths.config, paths.checkpoint, '--images', paths.data / 'train' / 'red', paths.data / 'val' / 'red',
                         '--archs', 2, '--num-images', 3, '--resamples', 10, '--work-dir', folder],
        train=[paths.config, '--work-dir', folder],
    )


@pytest.mark.parametrize('name', ['export', 'search', 'evaluate', 'rank_correlation', 'compare_domains', 'train'])
def test_markup_in_a_work_dir(tool, paths, capfd, name):
    assert tool(name, *commands(paths, MARKUP)[name]) is None
    assert MARKUP in capfd.readouterr().out
    assert any((paths.root / MARKUP).iterdir())


@pytest.mark.parametrize('name', ['export', 'search', 'evaluate', 'rank_correlation', 'compare_domains', 'train'])
def test_a_template_in_a_work_dir(tool, paths, name):
    before = sorted(paths.root.rglob('*'))
    assert "an argument has '{{' in it" in tool(name, *commands(paths, TEMPLATE)[name])
    assert sorted(paths.root.rglob('*')) == before


def test_templates_in_data(tool, paths, monkeypatch):
    """Class folders, and folders that the command line does not show: the current one, and what a link points to."""
    hostile = paths.root / TEMPLATE.replace('/', '')
    tiny.labelled_photos(hostile, train=4, val=3)
    (paths.root / 'link').symlink_to(hostile)
    arguments = commands(paths, 'out')['export']
    arguments[-1] = 'link'
    assert "has '{{' in it" in tool('export', *arguments)

    tiny.labelled_photos(paths.root / 'classes', train=4, val=3, classes=('a', TEMPLATE.replace('/', '')))
    arguments[-1] = 'classes'
    assert 'a class in ' in tool('export', *arguments)
    assert 'a class in ' in tool('evaluate', paths.checkpoint, '--data', 'classes', '-k', 3)

    monkeypatch.chdir(hostile)
    assert 'the current folder has' in tool('train', paths.config, '--work-dir', 'out')
    assert not (hostile / 'out').exists() and not (paths.root / 'out').exists() and not list(paths.root.rglob('PWNED'))


def test_a_message_of_several_lines(tool, paths):
    """A name with a newline does not hide what comes before it."""
    message = tool('export', paths.checkpoint, ARCH, 'out', '--data', 'no\nsuch \x1b[31mfolder')
    assert r'no\nsuch \x1b[31mfolder' in message and 'no such folder' in message
