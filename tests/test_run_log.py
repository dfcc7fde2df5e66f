import json

from gaia_ssl.run_log import read_run_log


def write(folder, name: str, *lines: dict, cut: str = '') -> None:
    path = folder / name / 'vis_data' / 'scalars.json'
    path.parent.mkdir(parents=True)
    path.write_text('\n'.join(map(json.dumps, lines)) + '\n' + cut)


def test_a_resumed_run(tmp_path):
    """Killed after step 30, while the line of step 40 was written; resumed from step 20."""
    write(tmp_path, '20260102', dict(loss=0.25, step=30), dict(loss=0.125, step=40), dict(mIoU=40.0, step=40))
    write(tmp_path, '20260101', dict(loss=1.0, step=10), dict(loss=0.5, step=20), dict(loss=9.0, step=30), cut='{"loss": 7.')
    lines = read_run_log(tmp_path)
    assert [(line.get('loss'), line['step']) for line in lines] == [(1.0, 10), (0.5, 20), (0.25, 30), (0.125, 40), (None, 40)]


def test_no_run(tmp_path):
    assert read_run_log(tmp_path / 'nowhere') == []
